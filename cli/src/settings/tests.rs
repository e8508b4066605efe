//! Precedence, unknown keys and forbidden values, from values instead of a real environment.

use chiffon_common::ErrorCode;
use chiffon_program::settings::{KEYS, commented_defaults};

use super::*;

fn load(yaml: &str, env: &Env, flags: &[Flag]) -> Result<Settings, Problem> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chiffon.yaml");
    std::fs::write(&file, yaml).unwrap();
    Settings::load(&file, env, flags).map_err(|problem| Problem {
        detail: problem
            .detail
            .replace(&*file.to_string_lossy(), "chiffon.yaml"),
        ..problem
    })
}

fn listen_flag(value: &str) -> Flag {
    Flag {
        key: "http.listen".to_owned(),
        flag: "--listen",
        value: value.to_owned(),
    }
}

#[test]
fn defaults_file_environment_and_flags_win_in_this_order() {
    let none = Env::default();
    let env = Env::from([
        ("CHIFFON_HTTP__LISTEN", "127.0.0.1:3"),
        ("CHIFFON_HOME", "/x"),
    ]);
    let yaml = "http:\n  listen: 127.0.0.1:2\n";
    let port = |yaml, env, flags: &[Flag]| load(yaml, env, flags).unwrap().listen.port();
    assert_eq!(port("", &none, &[]), 8420);
    assert_eq!(port(yaml, &none, &[]), 2);
    assert_eq!(port(yaml, &env, &[]), 3);
    assert_eq!(port(yaml, &env, &[listen_flag("[::1]:4")]), 4);
}

#[test]
fn the_first_file_says_what_the_defaults_say() {
    let text = commented_defaults();
    let defaults = load("", &Env::default(), &[]).unwrap();
    assert_eq!(load(&text, &Env::default(), &[]).unwrap(), defaults);
    // Uncommented, it must still be permitted: each key alone, because sections repeat.
    for key in KEYS {
        let mut yaml = String::new();
        for (depth, part) in key.name.split('.').enumerate() {
            yaml += &format!("\n{}{part}:", "  ".repeat(depth));
        }
        let yaml = format!("{yaml} {}\n", key.default);
        assert_eq!(
            load(&yaml, &Env::default(), &[]).unwrap(),
            defaults,
            "{yaml}"
        );
    }
}

#[test]
fn an_unknown_key_names_its_place_and_the_nearest_one() {
    let problem = load("http:\n  lisen: 127.0.0.1:1\n", &Env::default(), &[]).unwrap_err();
    assert_eq!(problem.code, ErrorCode::UnknownKey);
    assert_eq!(
        problem.detail,
        "There is no key \"http.lisen\", but chiffon.yaml has it."
    );
    assert_eq!(problem.todo, "Did you mean http.listen?");

    let env = Env::from([("CHIFFON_LOG__LEVL", "info")]);
    let problem = load("", &env, &[]).unwrap_err();
    assert!(problem.detail.contains("CHIFFON_LOG__LEVL"), "{problem:?}");
    assert_eq!(problem.todo, "Did you mean log.level?");

    let problem = load("zzz: 1\n", &Env::default(), &[]).unwrap_err();
    assert!(problem.todo.starts_with("Remove it"), "{problem:?}");
}

#[test]
fn a_forbidden_value_names_key_value_and_what_is_permitted() {
    let cases = [
        (
            "http:\n  listen: 0.0.0.0:80\n",
            "http.listen",
            "127.0.0.1:8420",
        ),
        ("http:\n  listen: 17\n", "http.listen", "127.0.0.1:8420"),
        (
            "decisions:\n  timeout: 0m\n",
            "decisions.timeout",
            "1m to 30d",
        ),
        (
            "decisions:\n  timeout: soon\n",
            "decisions.timeout",
            "1m to 30d",
        ),
        (
            "agents:\n  infrastructure:\n    slots: -1\n",
            "slots",
            "1 to 64",
        ),
        (
            "catalogue:\n  folders: [relative]\n",
            "catalogue.folders",
            "absolute",
        ),
        ("log:\n  level: loud\n", "log.level", "debug"),
        ("log:\n  level: {a: 1}\n", "log.level", "debug"),
        ("http: [1, 2\n", "chiffon.yaml", "key: value"),
        ("- a\n- b\n", "chiffon.yaml", "key: value"),
    ];
    for (yaml, key, permitted) in cases {
        let problem = load(yaml, &Env::default(), &[]).unwrap_err();
        assert_eq!(problem.code, ErrorCode::InvalidValue, "{yaml}");
        assert!(problem.detail.contains(key), "{yaml}: {problem:?}");
        assert!(problem.todo.contains(permitted), "{yaml}: {problem:?}");
    }
}

#[test]
fn a_file_that_is_no_configuration_names_its_line_and_the_reason() {
    let cases = [
        (
            "log:\n  level: info\n  level: debug\n",
            "line 3",
            "\"level\" stands here for the second time",
        ),
        ("# c\nhttp:\n  - a\n", "line 3", "http is a list"),
        ("log: loud\n", "line 1", "log is text"),
        (
            "agents:\n  infrastructure: 4\n",
            "agents.infrastructure",
            "a number",
        ),
        ("log:\n  level: info\n---\nlog: {}\n", "line", "document"),
    ];
    for (yaml, place, reason) in cases {
        let problem = load(yaml, &Env::default(), &[]).unwrap_err();
        assert_eq!(problem.code, ErrorCode::InvalidValue, "{yaml}: {problem:?}");
        for wanted in ["chiffon.yaml", place, reason] {
            assert!(problem.detail.contains(wanted), "{yaml}: {problem:?}");
        }
    }
}

#[test]
fn a_bomb_and_a_huge_file_are_refused_at_once() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let all = vec![format!("*a{}", n - 1); 9].join(", ");
        bomb += &format!("a{n}: &a{n} [{all}]\n");
    }
    let deep = format!("log: {}", "[".repeat(100_000));
    let huge = "# much too much\n".repeat(1 << 17);
    for yaml in [bomb, deep, huge] {
        let problem = load(&yaml, &Env::default(), &[]).unwrap_err();
        assert_eq!(problem.code, ErrorCode::InvalidValue, "{problem:?}");
    }
}

#[test]
fn every_fault_is_found_and_not_only_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chiffon.yaml");
    let yaml = "\
http:
  lisen: 127.0.0.1:1
  listen: 0.0.0.0:80
log: loud
agents:
  infrastructure: 4
  heartbeat_seconds: 0
decisions:
  timeout: 24h
";
    std::fs::write(&file, yaml).unwrap();
    let env = Env::from([
        ("CHIFFON_HTTP__LISTEN", "127.0.0.1:1"),
        ("CHIFFON_LOG__LEVL", "info"),
        ("CHIFFON_LOG__FORMAT", "xml"),
    ]);
    let found: Vec<String> = Settings::faults(&file, &env)
        .into_iter()
        .map(|fault| fault.detail)
        .collect();
    let wanted = [
        "agents.infrastructure is a number",
        "log is text",
        "agents.heartbeat_seconds in",
        "\"http.lisen\"",
        // Although the environment would win over it.
        "http.listen in",
        "(CHIFFON_LOG__FORMAT)",
        "(CHIFFON_LOG__LEVL)",
    ];
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for wanted in wanted {
        let times = found.iter().filter(|one| one.contains(wanted)).count();
        assert_eq!(times, 1, "{wanted}: {found:#?}");
    }
    std::fs::write(&file, "log:\n  level: debug\n").unwrap();
    assert_eq!(Settings::faults(&file, &Env::default()), []);
    let missing = folder.path().join("none.yaml");
    assert_eq!(Settings::faults(&missing, &Env::default()), []);
}

#[test]
fn what_is_in_force_tells_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chiffon.yaml");
    std::fs::write(&file, "log:\n  level: debug\n  format: json\n").unwrap();
    let env = Env::from([
        ("CHIFFON_LOG__FORMAT", "text"),
        ("CHIFFON_AGENTS__HEARTBEAT_SECONDS", "9"),
    ]);
    let flags = [listen_flag("127.0.0.1:4")];
    let settings = Settings::in_force(&file, &env, &flags).unwrap();
    assert_eq!(settings.len(), KEYS.len());
    let check = |key: &str, value: serde_json::Value, origin: &str| {
        let found = settings.iter().find(|one| one.key == key).unwrap();
        assert_eq!((&found.value, found.origin.as_str()), (&value, origin));
    };
    check("http.listen", "127.0.0.1:4".into(), "--listen");
    check("log.level", "debug".into(), &file.to_string_lossy());
    check("log.format", "text".into(), "CHIFFON_LOG__FORMAT");
    let nine = serde_json::json!(9);
    check(
        "agents.heartbeat_seconds",
        nine,
        "CHIFFON_AGENTS__HEARTBEAT_SECONDS",
    );
    check("decisions.timeout", "48h".into(), "default");
    check("catalogue.folders", serde_json::json!([]), "default");

    std::fs::write(&file, "log:\n  level: loud\n").unwrap();
    let refused = Settings::in_force(&file, &env, &[]).unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidValue);
}

#[test]
fn an_empty_section_is_nothing_and_folders_come_as_list_or_path() {
    assert!(load("http:\n#  listen: x\n", &Env::default(), &[]).is_ok());
    let env = Env::from([("CHIFFON_CATALOGUE__FOLDERS", "/a:/b")]);
    let two = vec![PathBuf::from("/a"), PathBuf::from("/b")];
    assert_eq!(load("", &env, &[]).unwrap().catalogue_folders, two);
    let yaml = "catalogue:\n  folders:\n    - /a\n    - /b\n";
    assert_eq!(
        load(yaml, &Env::default(), &[]).unwrap().catalogue_folders,
        two
    );
}

#[test]
fn a_question_stays_open_for_minutes_hours_or_days() {
    for (text, expected) in [
        ("1m", Some(1)),
        ("90m", Some(90)),
        ("48h", Some(48 * 60)),
        ("30d", Some(30 * 24 * 60)),
        ("31d", None),
        ("721h", None),
        ("0m", None),
        ("48", None),
        ("h", None),
        ("", None),
        ("-1h", None),
        ("+1h", None),
        ("1.5h", None),
        ("1 h", None),
        ("4294967295d", None),
        ("1\u{e9}", None),
    ] {
        assert_eq!(minutes(text), expected, "{text:?}");
    }
}

#[test]
fn the_rules_of_the_control_plane_are_read_and_held_against_each_other() {
    let read = |yaml: &str| load(yaml, &Env::default(), &[]).map(|settings| settings.control);
    let usual = read("").unwrap();
    assert!(usual.jobs && !usual.counts());
    let yaml = "control:\n  reply_policy: probability\n  reply_probability: 0.3\n  may_approve: [\"chat:anna\"]\n  rate:\n    events: 5\n";
    let policy = read(yaml).unwrap();
    assert_eq!(policy.planner.reply_probability.to_string(), "0.3");
    assert_eq!(policy.gate.tenant_rate.unwrap().burst, 5, "as by arbiter");
    let wide = read("control: {rate: {events: 5, burst: 9}}").unwrap();
    assert_eq!(wide.gate.tenant_rate.unwrap().burst, 9);
    assert_eq!(policy.authz.grants.len(), 3);
    for (yaml, key) in [
        ("reply_probability: 1.5", "control.reply_probability"),
        ("reply_probability: 0.12345678", "control.reply_probability"),
        ("reply_policy: sometimes", "control.reply_policy"),
        ("jobs: perhaps", "control.jobs"),
        ("may_ask: [robot]", "control.may_ask"),
        ("may_approve: [\"a*b\"]", "control.may_approve"),
        ("cooldown_ms: 86400001", "control.cooldown_ms"),
        (
            "max_queue: 2\n  generation_timeout_ms: 0",
            "control.max_queue",
        ),
    ] {
        let problem = read(&format!("control:\n  {yaml}\n")).unwrap_err();
        assert_eq!(problem.code, ErrorCode::InvalidValue, "{yaml}");
        assert!(problem.detail.contains(key), "{yaml}: {problem:?}");
    }
}

#[test]
fn dice_and_their_probability_belong_together() {
    let read = |yaml: &str| load(&format!("control:\n  {yaml}\n"), &Env::default(), &[]);
    for yaml in [
        "reply_probability: 0.3",
        "reply_policy: mention_first\n  reply_probability: 0.3",
        "reply_policy: probability\n  reply_probability: 0.3",
        "reply_policy: always",
    ] {
        read(yaml).expect(yaml);
    }
    for yaml in [
        "reply_policy: always\n  reply_probability: 0.3",
        "reply_policy: never\n  reply_probability: 0.3",
        "reply_policy: probability",
    ] {
        let refused = read(yaml).unwrap_err();
        assert_eq!(refused.code, ErrorCode::SettingsContradict, "{yaml}");
        for name in ["control.reply_probability", "control.reply_policy"] {
            assert!(refused.detail.contains(name), "{refused:?}");
        }
    }
    // One that stands where it does nothing is named with the place where it would.
    for (yaml, key) in [
        ("reply_probability: 0.3\n", "reply_probability"),
        (
            "planner:\n  reply_probability: 0.3\n",
            "planner.reply_probability",
        ),
    ] {
        let refused = load(yaml, &Env::default(), &[]).unwrap_err();
        assert_eq!(refused.code, ErrorCode::UnknownKey, "{yaml}");
        assert!(refused.detail.contains(key), "{refused:?}");
        assert_eq!(refused.todo, "Did you mean control.reply_probability?");
    }
}

/// What is permitted beside another one is not called a fault when it is looked at alone.
#[test]
fn all_faults_of_a_file_are_faults_of_the_whole_file() {
    let faults = |yaml: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chiffon.yaml");
        std::fs::write(&file, yaml).unwrap();
        Settings::faults(&file, &Env::default())
    };
    for yaml in [
        "control:\n  reply_policy: probability\n  reply_probability: 0.3\n",
        "store:\n  url: postgres://a@b/c\n  ca_file: /etc/ca.pem\n",
    ] {
        assert_eq!(faults(yaml), [], "{yaml}");
    }
    let found = faults("control:\n  reply_policy: always\n  reply_probability: 0.3\n");
    assert_eq!(found.len(), 1, "{found:?}");
    let found = faults("http:\n  listen: a\nhttp:\n  listen: b\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detail.contains("second time"), "{found:?}");
    assert!(found[0].todo.starts_with("Keep one"), "{found:?}");
}

#[test]
fn an_external_authoriser_takes_the_place_of_the_roles() {
    use chiffon_arbiter::{AuthzMode, FailMode};
    let read = |yaml: &str| load(&format!("control:\n  {yaml}\n"), &Env::default(), &[]);
    let usual = load("", &Env::default(), &[]).unwrap();
    assert_eq!(usual.authorizer, None);
    assert_eq!(usual.control.authz.mode, AuthzMode::Builtin);
    let endpoint = "http://authz:8081/v0/authorize";
    let yaml = format!(
        "authz:\n    endpoint: {endpoint}\n    timeout_ms: 500\n    cache: 9\n    token_file: /etc/token\n    ca_file: /etc/ca.pem"
    );
    let settings = read(&yaml).unwrap();
    let authz = &settings.control.authz;
    assert_eq!(authz.mode, AuthzMode::ExternalHttp);
    assert_eq!(authz.fail_mode, FailMode::Deny);
    assert!(authz.grants.is_empty(), "nobody may by a role: {authz:?}");
    // Rules that would be passed over are refused, in whatever order and place they stand.
    for key in ["may_ask: [person]", "may_approve: [\"chat:anna\"]"] {
        let both = format!("{key}\n  authz:\n    endpoint: {endpoint}");
        let refused = read(&both).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidValue, "{key}");
        let (name, _) = key.split_once(':').unwrap();
        let named = format!("control.{name} is set in ");
        assert!(refused.detail.contains(&named), "{refused:?}");
        assert!(
            refused.todo.contains("control.authz.endpoint"),
            "{refused:?}"
        );
    }
    let env = Env::from([("CHIFFON_CONTROL__MAY_APPROVE", "chat:anna")]);
    let yaml_of_endpoint = format!("control:\n  authz:\n    endpoint: {endpoint}\n");
    let refused = load(&yaml_of_endpoint, &env, &[]).unwrap_err();
    let named = "(CHIFFON_CONTROL__MAY_APPROVE)";
    assert!(refused.detail.contains(named), "{refused:?}");
    let (authorizer, token_file) = settings.authorizer.unwrap();
    assert_eq!(authorizer.endpoint.to_string(), endpoint);
    assert_eq!(authorizer.timeout.as_millis(), 500);
    assert_eq!((authorizer.in_flight, authorizer.cached), (32, 9));
    assert_eq!(token_file, Some(PathBuf::from("/etc/token")));
    assert_eq!(authorizer.ca_file, Some(PathBuf::from("/etc/ca.pem")));
    let open = format!("authz:\n    endpoint: {endpoint}\n    fail_mode: allow");
    assert_eq!(
        read(&open).unwrap().control.authz.fail_mode,
        FailMode::Allow
    );
    for (yaml, key) in [
        ("endpoint: \"ftp://a/b\"", "endpoint"),
        ("endpoint: \"http://u:hidden@a/b\"", "endpoint"),
        ("endpoint: here", "endpoint"),
        ("fail_mode: open", "fail_mode"),
        ("token_file: token", "token_file"),
        ("ca_file: ca.pem", "ca_file"),
        ("timeout_ms: 0", "timeout_ms"),
        ("max_in_flight: 0", "max_in_flight"),
        ("cache: -1", "cache"),
    ] {
        let problem = read(&format!("authz:\n    {yaml}")).unwrap_err();
        assert_eq!(problem.code, ErrorCode::InvalidValue, "{yaml}");
        let named = format!("control.authz.{key}");
        assert!(problem.detail.contains(&named), "{yaml}: {problem:?}");
        assert!(!problem.detail.contains("hidden"), "{problem:?}");
    }
}
