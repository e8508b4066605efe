//! Reading Rust sources for rules that the compiler cannot check.

use std::path::Path;

/// The part of a source that ships: nothing for files that only hold tests, else what stands above
/// the unit tests (which close a file by convention).
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

#[cfg(test)]
mod tests {
    use super::without_tests;
    use std::path::Path;

    #[test]
    fn unit_tests_at_the_end_are_left_out() {
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
}
