//! Small numbers, large files, and what does not fit beside each other though each may be.

use super::*;

#[test]
fn a_small_probability_is_what_was_written() {
    for (text, millionths) in [
        ("0.000001", 1),
        ("0.000009", 9),
        ("0.00001", 10),
        ("1", 1_000_000),
    ] {
        let read = read(&format!(
            "planner: {{reply_policy: probability, reply_probability: {text}}}"
        ));
        let found = read.expect(text).policy.planner.reply_probability;
        assert_eq!(found.millionths(), millionths, "{text}");
    }
    let faults = read("planner: {reply_probability: 0.0000001}").expect_err("seven decimals");
    assert!(faults[0].detail.contains("0.0000001"), "{faults:?}");
}

#[test]
fn a_token_file_has_an_end_and_is_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let read = |file: &str| {
        let map = file::parse(&format!("token_file: {file}")).unwrap();
        taken(map, folder.path()).0
    };
    let faults = read("/dev/zero").expect_err("it never ends");
    assert!(faults[0].detail.contains("more than"), "{faults:?}");
    let path = folder.path().join("token");
    std::fs::write(&path, "0123456789abcdef\n").unwrap();
    for (mode, warned) in [(0o600, 0), (0o640, 0), (0o644, 1), (0o606, 1)] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, permissions).unwrap();
        let config = read("token").expect("it is permitted");
        assert_eq!(config.token.as_deref(), Some("0123456789abcdef"));
        assert_eq!(
            config.warnings.len(),
            warned,
            "{mode:o}: {:?}",
            config.warnings
        );
    }
}

#[test]
fn places_that_the_connections_cannot_hold_are_said() {
    let warnings = |text: &str| {
        let text = format!("authz: {{mode: external_http, endpoint: \"http://a/b\", {text}");
        read(&text).expect("it is permitted").warnings
    };
    assert_eq!(warnings("max_in_flight: 32}"), Vec::<String>::new());
    for text in [
        "max_in_flight: 121}",
        "max_in_flight: 2}\nlimits: {connections: 64}",
    ] {
        let said = warnings(text);
        assert!(
            said.len() == 1 && said[0].contains("limits.connections"),
            "{said:?}"
        );
    }
}
