//! Snapshots of what the program shows, with everything filtered that differs from run to run.

use insta::Settings;

/// What differs, and what stands for it. Longer forms come first.
const FILTERS: [(&str, &str); 12] = [
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[id]",
    ),
    (r"sha256:[0-9a-f]{64}", "[digest]"),
    (r"digest [0-9a-f]{12}\b", "digest [digest]"),
    (r"\b[0-9a-f]{40}\b", "[commit]"),
    (r"(?m)^[0-9a-f]{10} ", "[commit] "),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[time]"),
    (r"local:[A-Za-z0-9_.-]+", "local:[user]"),
    (r"chat:[A-Za-z0-9_.-]+", "chat:[user]"),
    (r"/[A-Za-z0-9_./-]*chiffon-test-[A-Za-z0-9]+", "[scratch]"),
    (r"infra\([0-9a-f]+\)", "infra([short])"),
    (r"desktop\.\S+", "desktop.[host]"),
    (r"evt-\d+", "evt-[n]"),
];

/// The first line of a table: words in capitals, apart from each other.
fn is_heading(line: &str) -> bool {
    let plain = chiffon_tests::without_codes(line);
    plain.contains("  ") && plain.chars().all(|c| c.is_ascii_uppercase() || c == ' ')
}

/// Holds a text against its snapshot.
#[track_caller]
pub fn hold(name: &str, text: &str) {
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("shots");
    settings.set_omit_expression(true);
    for (pattern, stands_for) in FILTERS {
        settings.add_filter(pattern, stands_for);
    }
    if text.lines().any(is_heading) {
        // How wide a column is depends on the name of who runs this.
        settings.add_filter(" {3,}", "  ");
    }
    // Escape codes are characters like others here.
    let visible = text.replace('\u{1b}', "␛").replace('\r', "");
    settings.bind(|| insta::assert_snapshot!(name, visible));
}
