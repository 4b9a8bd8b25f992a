//! Reads etcd's database file without etcd.
pub mod bolt;
pub mod etcd;
pub mod k8s;
pub mod scan;
