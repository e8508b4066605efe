//! The program `chiffon`. All it does is left to the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    chiffon::main()
}
