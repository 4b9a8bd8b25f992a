//! The program `etcd-medic`; all of it is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    etcd_medic::cli::run()
}
