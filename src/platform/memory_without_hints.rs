//! Hints about mapped pages, for systems that get none: pages come as they are touched, and go with the mapping.

use memmap2::Mmap;

pub fn populate(_map: &Mmap, _offset: u64, _len: u64) {}

pub fn release(_map: &mut Mmap) {}
