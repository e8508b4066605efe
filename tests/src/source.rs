//! Reading sources for rules that the compiler cannot check. Which file must keep which rule is left
//! to `tests/tidy.rs`.

use std::path::Path;

/// Folders that exist on the machine of whoever wrote a file, and nowhere else.
const PRIVATE_FOLDERS: [&str; 2] = ["work", "root"];

/// The part of a Rust source that ships: nothing of a file that only holds tests, else what stands
/// above the unit tests (which close a file by convention).
pub fn without_tests<'a>(path: &Path, text: &'a str) -> &'a str {
    let only_tests = path
        .components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
    if only_tests {
        return "";
    }
    let Some((above, below)) = text.split_once("#[cfg(test)]\nmod ") else {
        return text;
    };
    // `mod tests;` names a sibling file, and shipped code may follow.
    let inline = below.lines().next().is_some_and(|line| line.ends_with('{'));
    if inline { above } else { text }
}

/// Whether Rust code makes a channel without a bound.
pub fn opens_unbounded_channel(code: &str) -> bool {
    let without_argument = |rest: &str| {
        let rest = match rest.strip_prefix("::<") {
            Some(types) => types.split_once('(').map_or("", |(_, arguments)| arguments),
            None => rest.strip_prefix('(').unwrap_or("no call"),
        };
        rest.starts_with(')')
    };
    code.contains("unbounded_channel")
        || code.contains("::unbounded(")
        || code.split("mpsc::channel").skip(1).any(without_argument)
}

/// Whether Rust code starts a database transaction by a statement of its own.
pub fn begins_a_transaction(code: &str) -> bool {
    let statements = [
        "\"BEGIN",
        "BEGIN IMMEDIATE",
        "BEGIN EXCLUSIVE",
        "BEGIN DEFERRED",
        "BEGIN;",
    ];
    statements.iter().any(|statement| code.contains(statement))
}

/// Whether a text holds an absolute path below a folder of one particular machine.
pub fn names_a_private_path(text: &str) -> bool {
    let starts_a_path = |before: &str| {
        let last = before.chars().next_back();
        !last.is_some_and(|last| last.is_alphanumeric() || "._~-/$}>".contains(last))
    };
    PRIVATE_FOLDERS.iter().any(|folder| {
        let needle = format!("/{folder}/");
        text.match_indices(&needle)
            .any(|(at, _)| starts_a_path(&text[..at]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_tests_at_the_end_do_not_ship() {
        let text = "fn shipped() {}\n#[cfg(test)]\nmod tests {\n    fn test() {}\n}\n";
        assert_eq!(
            without_tests(Path::new("a/src/b.rs"), text),
            "fn shipped() {}\n"
        );
    }

    #[test]
    fn code_below_a_declared_test_file_ships() {
        let text = "#[cfg(test)]\nmod tests;\nfn shipped() {}\n";
        assert_eq!(without_tests(Path::new("a/src/b.rs"), text), text);
    }

    #[test]
    fn a_file_of_tests_does_not_ship() {
        assert_eq!(
            without_tests(Path::new("a/src/tests.rs"), "fn test() {}"),
            ""
        );
        assert_eq!(
            without_tests(Path::new("tests/rooms.rs"), "fn test() {}"),
            ""
        );
    }

    #[test]
    fn channels_without_a_bound_are_seen() {
        let unbounded = [
            "mpsc::channel()",
            "std::sync::mpsc::channel::<u8>()",
            "mpsc::unbounded_channel::<u8>()",
            "flume::unbounded()",
        ];
        for code in unbounded {
            assert!(opens_unbounded_channel(code), "{code}");
        }
        let bounded = [
            "mpsc::channel(8)",
            "mpsc::channel::<Vec<u8>>(8)",
            "mpsc::sync_channel(1)",
        ];
        for code in bounded {
            assert!(!opens_unbounded_channel(code), "{code}");
        }
    }

    #[test]
    fn a_statement_that_begins_a_transaction_is_told_from_a_key_file() {
        assert!(begins_a_transaction(r#"execute("BEGIN")"#));
        assert!(begins_a_transaction(r#"execute(" BEGIN IMMEDIATE")"#));
        assert!(!begins_a_transaction(
            r#"contains("-----BEGIN PRIVATE KEY")"#
        ));
    }

    #[test]
    fn a_path_of_one_machine_is_told_from_a_part_of_another_path() {
        for folder in PRIVATE_FOLDERS {
            assert!(names_a_private_path(&format!("see /{folder}/x")));
            assert!(names_a_private_path(&format!("HOME=/{folder}/x")));
            assert!(!names_a_private_path(&format!("/var/{folder}/x")));
            assert!(!names_a_private_path(&format!("{{dir}}/{folder}/x")));
        }
    }
}
