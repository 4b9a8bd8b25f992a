//! The arguments, parsed; and the message about those that are refused, in which they are escaped.

use std::ffi::{OsStr, OsString};

use clap::Parser;
use clap::error::Error;

use crate::text::{escape, harmless, is_unsafe};

use super::program::Args;

/// The arguments; or the help that was asked for, or why they are refused.
pub(super) fn arguments() -> Result<Args, Error> {
    let given: Vec<OsString> = std::env::args_os().collect();
    Args::try_parse_from(&given).map_err(|error| harmless_error(error, &given))
}

/// The error that clap makes of the same arguments, escaped. Clap repeats arguments as they are, with colours of its own around
/// them; afterwards nobody can tell these from escape sequences in the arguments.
fn harmless_error(error: Error, given: &[OsString]) -> Error {
    let escaped: Vec<OsString> = given.iter().map(|arg| escaped(arg)).collect();
    if escaped == given {
        return error;
    }
    match Args::try_parse_from(&escaped) {
        Err(of_escaped) if of_escaped.kind() == error.kind() => of_escaped,
        // only bytes that are not UTF-8 were wrong: clap does not repeat these
        _ => {
            let message: String =
                error.to_string().lines().map(|line| format!("{}\n", harmless(line))).collect();
            Error::raw(error.kind(), message.strip_prefix("error: ").unwrap_or(&message))
        }
    }
}

/// An argument, escaped if a part of it is not visible.
fn escaped(arg: &OsStr) -> OsString {
    match arg.to_str() {
        Some(text) if !text.chars().any(is_unsafe) => arg.to_owned(),
        _ => OsString::from(escape(arg.as_encoded_bytes()).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use std::os::unix::ffi::OsStrExt;

    use super::*;

    /// Whatever is refused, the message has nothing hidden in it.
    #[test]
    fn no_refusal_repeats_what_a_terminal_acts_on() {
        let hostile =
            ["e\x1b]52;c;QQ==\x07.db", "--\x1b[31mx", "-\u{202e}", "a\u{9b}b", "a\nerror: b", "\u{e0041}"];
        let hostile =
            hostile.map(OsString::from).into_iter().chain([OsStr::from_bytes(b"a\xff\x1b").to_owned()]);
        for word in hostile {
            let joined = |option: &str| [OsStr::new(option), &word].into_iter().collect::<OsString>();
            let refused: [Vec<OsString>; 8] = [
                vec!["analyze".into(), "a.db".into(), word.clone()],
                vec![word.clone()],
                vec!["analyze".into(), "a.db".into(), joined("--")],
                vec!["hash".into(), "a.db".into(), joined("--rev=")],
                vec!["analyze".into(), "a.db".into(), "--sort".into(), word.clone()],
                vec!["analyze".into(), joined("--resource=b\x1b")],
                vec!["status".into(), "--quota".into(), word.clone(), "a.db".into()],
                vec!["synth".into(), "-o".into(), "a".into(), "--scatter".into(), word.clone()],
            ];
            for args in refused {
                let given: Vec<OsString> =
                    [OsString::from("etcd-\x1bmedic")].into_iter().chain(args).collect();
                let Err(error) = Args::try_parse_from(&given) else { panic!("{given:?}") };
                let kind = error.kind();
                let error = harmless_error(error, &given);
                assert_eq!(error.exit_code(), 2, "{kind:?}");
                let said = error.to_string();
                let hidden = said.chars().find(|&char| char != '\n' && is_unsafe(char));
                assert_eq!(hidden, None, "{said:?}");
                assert!(said.starts_with("error: "), "{said}");
                // in colour, nothing is hidden but the colours
                let colours = error.render().ansi().to_string();
                let rest: String =
                    colours.split('\x1b').skip(1).map(|part| part.get(..1).unwrap_or("")).collect();
                assert!(rest.chars().all(|char| char == '['), "{colours:?}");
                assert!(!colours.contains("\x1b[31mx"), "{colours:?}");
            }
        }
    }

    #[test]
    fn help_is_no_refusal() {
        let given = ["etcd-medic", "--help"].map(OsString::from);
        let error = harmless_error(Args::try_parse_from(&given).expect_err("help"), &given);
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::DisplayHelp, 0));
    }
}
