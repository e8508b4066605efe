//! The file of section 14 as it stands there, and what each wrong one is told.

mod bounds;

use chiffon_arbiter::{AuthzMode, FailMode, ReplyPolicy};

use super::*;

const SECTION_14: &str = "
store:
  type: memory

authz:
  mode: external_http
  endpoint: http://authz:8081/v0/authorize
  fail_mode: deny

gate:
  cooldown_ms: 3000
  max_queue: 10

planner:
  reply_policy: mention_first
  reply_probability: 0.3
";

fn read(text: &str) -> Result<Config, Vec<Problem>> {
    let map = file::parse(text).expect("it is YAML");
    taken(map, Path::new("/etc/arbiter")).0
}

#[test]
fn the_file_of_section_14_means_what_it_says() {
    let config = read(SECTION_14).expect("it is permitted");
    let policy = &config.policy;
    assert_eq!(policy.authz.mode, AuthzMode::ExternalHttp);
    assert_eq!(policy.authz.fail_mode, FailMode::Deny);
    assert_eq!(
        (policy.gate.cooldown_ms, policy.gate.max_queue),
        (3_000, 10)
    );
    assert_eq!(policy.planner.reply_policy, ReplyPolicy::MentionFirst);
    assert_eq!(policy.planner.reply_probability.millionths(), 300_000);
    let authorizer = config.authorizer.as_ref().expect("one is asked");
    assert_eq!(
        authorizer.endpoint.to_string(),
        "http://authz:8081/v0/authorize"
    );
    assert!(matches!(config.store, Store::Memory { .. }));
    assert!(config.listen.ip().is_loopback() && !policy.jobs);
}

#[test]
fn without_a_file_nothing_is_permitted_to_anybody() {
    let config = Config::of_nothing().expect("it is permitted");
    assert_eq!(config.policy.authz.mode, AuthzMode::Builtin);
    assert!(config.policy.authz.grants.is_empty());
}

#[test]
fn roles_and_grants_are_read() {
    let config = read(
        "policy:\n  roles:\n    member: [request_generation]\n    admin: \"*\"\n  grants:\n    - {role: member, actor: \"local:*\", kind: person, tenant: home}\n    - {role: admin, actor: local:anna}\n",
    )
    .expect("it is permitted");
    let authz = &config.policy.authz;
    assert_eq!((authz.roles.len(), authz.grants.len()), (2, 2));
    assert_eq!(authz.grants[0].tenant.0, "home");
    assert_eq!(authz.grants[1].room.0, "*");
}

#[test]
fn each_wrong_value_is_told_with_its_key_and_what_is_permitted() {
    for (text, key, todo) in [
        (
            "gate: {cooldwn_ms: 3}",
            "gate.cooldwn_ms",
            "gate.cooldown_ms",
        ),
        ("gatee: {}", "gatee", "gate"),
        ("xyz: 1", "xyz", "the file has these keys"),
        (
            "gate: {cooldown_ms: 86400001}",
            "gate.cooldown_ms",
            "0 to 86400000",
        ),
        (
            "gate: {cooldown_ms: -1}",
            "gate.cooldown_ms",
            "a whole number",
        ),
        (
            "gate: {cooldown_ms: 1.5}",
            "gate.cooldown_ms",
            "a whole number",
        ),
        (
            "gate: {cooldown_ms: soon}",
            "gate.cooldown_ms",
            "a whole number",
        ),
        ("gate: [1]", "gate", "a section"),
        ("audit: {path: \"\"}", "audit.path", "a text"),
        ("audit: {path: \"  \"}", "audit.path", "a text"),
        // A template whose variable was not set; in a grant it would fit everybody.
        (
            "policy:\n  roles: {m: \"*\"}\n  grants:\n    - role: m\n      actor:\n",
            "policy.grants[0].actor",
            "or no such key",
        ),
        (
            "policy:\n  roles: {m: \"*\"}\n  grants:\n    - role: m\n      kind:\n",
            "policy.grants[0].kind",
            "or no such key",
        ),
        ("token_file:", "token_file", "or no such key"),
        (
            "gate:\n  tenant_rate:\n",
            "gate.tenant_rate",
            "or no such key",
        ),
        (
            "gate: {max_queue: 3, generation_timeout_ms: 0}",
            "gate.max_queue",
            "generation_timeout_ms",
        ),
        (
            "gate: {tenant_rate: {per_ms: 5}}",
            "gate.tenant_rate",
            "events",
        ),
        (
            "gate: {tenant_rate: {events: 5, burst: 0}}",
            "gate.tenant_rate.burst",
            "1 to 1000000",
        ),
        (
            "planner: {reply_probability: 1.1}",
            "planner.reply_probability",
            "from 0 to 1",
        ),
        (
            "planner: {reply_probability: -0.1}",
            "planner.reply_probability",
            "from 0 to 1",
        ),
        (
            "planner: {reply_probability: 0.1234567}",
            "planner.reply_probability",
            "six decimals",
        ),
        (
            "planner: {reply_probability: half}",
            "planner.reply_probability",
            "a number",
        ),
        (
            "planner: {reply_policy: probability}",
            "reply_policy",
            "reply_probability",
        ),
        (
            "planner: {reply_policy: sometimes}",
            "planner.reply_policy",
            "mention_first",
        ),
        (
            "authz: {mode: external_http}",
            "authz.endpoint",
            "authz.endpoint",
        ),
        (
            "authz: {endpoint: \"http://a/b\"}",
            "authz.endpoint",
            "external_http",
        ),
        (
            "authz: {mode: external_http, endpoint: \"ftp://a/b\"}",
            "authz.endpoint",
            "https://HOST",
        ),
        (
            "authz: {mode: external_http, endpoint: \"https:///b\"}",
            "authz.endpoint",
            "https://HOST",
        ),
        (
            "authz: {mode: external_http, endpoint: \"http://a:99999/b\"}",
            "authz.endpoint",
            "https://HOST",
        ),
        (
            "authz: {mode: external_http, endpoint: \"http://a/b#x\"}",
            "authz.endpoint",
            "https://HOST",
        ),
        (
            "authz: {mode: external_http, endpoint: \"https://u:p@a/b\"}",
            "authz.endpoint",
            "without user",
        ),
        (
            "authz: {mode: external_http, endpoint: \"https://a/b\", ca_file: nowhere.pem}",
            "authz.ca_file is no file of authorities: /etc/arbiter/nowhere.pem cannot be read",
            "PEM",
        ),
        (
            "authz: {mode: external_http, endpoint: \"http://a/b\", ca_file: nowhere.pem}",
            "authz.ca_file is set, and authz.endpoint is plain",
            "https",
        ),
        (
            "store: {type: sqlite, ca_file: nowhere.pem}",
            "store.ca_file is set",
            "postgres",
        ),
        (
            "authz: {mode: external_http, endpoint: \"http://u:p@a/b\"}",
            "authz.endpoint",
            "without user",
        ),
        (
            "authz: {mode: external_http, endpoint: \"http://a/b\", fail_mode: open}",
            "authz.fail_mode",
            "allow or deny",
        ),
        (
            "authz: {mode: external_http, endpoint: \"http://a/b\"}\npolicy: {roles: {}}",
            "policy is set",
            "builtin",
        ),
        (
            "policy: {grants: [{role: ghost}]}",
            "policy.grants[0].role",
            "roles",
        ),
        (
            "policy: {roles: {a: [fly]}}",
            "policy.roles.a",
            "request_generation",
        ),
        (
            "policy: {roles: {a: [request_generation, start_agent_job]}}",
            "policy.roles.a permits \"start_agent_job\"",
            "orchestrator",
        ),
        (
            "policy: {roles: {a: [approve]}}",
            "policy.roles.a permits \"approve\"",
            "orchestrator",
        ),
        (
            "policy: {roles: {a: []}, grants: [{role: a, tenant: \"a*b\"}]}",
            "policy.grants[0].tenant",
            "one * at the end",
        ),
        (
            "policy: {grants: [{role: a, rom: x}]}",
            "policy.grants[0].rom",
            "policy.grants[0].room",
        ),
        (
            "authz: {fail_mode: allow}",
            "authz.fail_mode is set, and authz.mode is builtin",
            "external_http",
        ),
        ("authz: {cache: 5}", "authz.cache", "external_http"),
        (
            "authz: {token: 0123456789abcdef}",
            "authz.token",
            "external_http",
        ),
        ("store: {type: sqlite, rooms: 3}", "store.rooms", "memory"),
        (
            "store: {type: sqlite, remembered_plans: 3}",
            "store.remembered_plans",
            "memory",
        ),
        (
            "store: {retention_days: 3}",
            "store.retention_days",
            "sqlite or postgres",
        ),
        (
            "store: {type: postgres, url: \"mysql://a/b\"}",
            "store.url",
            "postgres://",
        ),
        (
            "policy: {roles: {a: []}, grants: [{role: a, kind: persn}]}",
            "policy.grants[0].kind",
            "person",
        ),
        (
            "policy: {roles: {a: []}, grants: [{role: a, tenant: \"a b\"}]}",
            "policy.grants[0].tenant",
            "a tenant",
        ),
        (
            "policy: {roles: {a: []}, grants: [{role: a, room: \"a b*\"}]}",
            "policy.grants[0].room",
            "a room",
        ),
        // Where it does nothing, it is told where it would.
        (
            "reply_probability: 0.3",
            "reply_probability",
            "planner.reply_probability",
        ),
        (
            "policy: {cooldown_ms: 3}",
            "policy.cooldown_ms",
            "gate.cooldown_ms",
        ),
        ("store: {type: mysql}", "store.type", "postgres"),
        ("store: {type: postgres}", "store.url", "postgres://"),
        ("store: {path: x.db}", "store.path", "sqlite"),
        ("store: {type: sqlite, url: x}", "store.url", "postgres"),
        (
            "audit: {rotate_bytes: 5}",
            "audit.rotate_bytes",
            "from 65536",
        ),
        ("audit: {keep: 1}", "audit.keep", "at least 2"),
        ("listen: everywhere", "listen", "127.0.0.1:8440"),
        ("token: short", "token", "16 characters"),
        (
            "{token: 0123456789abcdef, token_file: x}",
            "token_file",
            "one of the two",
        ),
        ("token_file: /nonexistent/token", "token_file", "readable"),
        ("limits: {connections: 0}", "limits.connections", "from 1"),
    ] {
        let faults = read(text).expect_err(text);
        let says = |fault: &Problem| fault.detail.contains(key) && fault.todo.contains(todo);
        assert!(faults.iter().any(says), "{text}: {faults:#?}");
    }
}

#[test]
fn a_number_is_written_in_one_way() {
    for word in [
        "0x10", "0X1f", "0o17", "0b11", "010", "1_000", "+0x10", "-007",
    ] {
        for text in [
            format!("planner: {{}}\ngate: {{cooldown_ms: {word}}}"),
            format!("planner: {{}}\ngate:  {{max_queue: 5,cooldown_ms:  {word} }} # so"),
        ] {
            let said = file::parse(&text).expect_err(&text).why;
            assert!(said.contains("line 2") && said.contains(word), "{said}");
        }
    }
    for text in [
        "gate: {cooldown_ms: 10} # not 0x10, and no 010",
        "gate: {cooldown_ms: 0, max_queue: 100}",
        "token: \"0x1234567890abcdef\"",
        "token: '01234567890123456'",
        "planner: {reply_policy: probability, reply_probability: 0.25}",
        "listen: 127.0.0.1:8440",
        "policy: {roles: {r_010: '*'}, grants: [{role: r_010, actor: \"a 0x10 b\", room: a:0x10}]}",
    ] {
        read(text).expect(text);
    }
}

#[test]
fn what_has_no_effect_is_said_and_is_no_fault() {
    let warnings = |text: &str| read(text).expect("it is permitted").warnings;
    for policy in ["always", "never"] {
        let text = format!("planner: {{reply_policy: {policy}, reply_probability: 0.3}}");
        let said = warnings(&text);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("planner.reply_probability"), "{said:?}");
    }
    for text in [
        "planner: {reply_policy: probability, reply_probability: 0.3}",
        "planner: {reply_policy: mention_first, reply_probability: 0.3}",
        "planner: {reply_probability: 0.3}",
        "planner: {reply_policy: always}",
        "{}",
    ] {
        assert_eq!(warnings(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn no_fault_shows_a_secret() {
    for (text, secret) in [
        ("token: 12345678901234567890", "1234567890"),
        ("token: [hidden-hidden-hidden]", "hidden"),
        (
            "authz: {mode: external_http, endpoint: \"http://a/b\", token: 12345678901234567890}",
            "1234567890",
        ),
        (
            "authz: {mode: external_http, endpoint: \"http://u:hidden@a/b\"}",
            "hidden",
        ),
        (
            "store: {type: postgres, url: \"mysql://u:hidden@a/b\"}",
            "hidden",
        ),
        ("store: {type: postgres, url: [\"u:hidden@a/b\"]}", "hidden"),
    ] {
        let faults = read(text).expect_err(text);
        let said = format!("{faults:?}");
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn one_mistake_is_told_once() {
    for text in [
        "authz: {mode: external_http, endpoint: \"ftp://a/b\"}",
        "authz: {mode: externl, endpoint: \"http://a/b\", fail_mode: deny}",
        "policy: {roles: {a: []}, grants: [{role: a, tenant: \"a*b\"}]}",
        "policy: {roles: {a: []}, grants: [{role: a, kind: \"p*n\"}]}",
    ] {
        let faults = read(text).expect_err(text);
        assert_eq!(faults.len(), 1, "{text}: {faults:#?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = read("gate: {cooldwn_ms: 3, max_queue: -1}\nstore: {type: mysql}").unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:#?}");
}

#[test]
fn what_is_no_yaml_or_no_mapping_is_told_with_its_line() {
    for (text, line) in [
        ("a: [", 1),
        ("a: 1\nb: {", 2),
        ("- a\n", 1),
        ("a: 1\na: 2\n", 2),
    ] {
        let unread = file::parse(text).expect_err(text);
        assert!(unread.why.contains("line"), "{text}: {unread:?} ({line})");
        let is_twice = text == "a: 1\na: 2\n";
        assert_eq!(unread.todo.contains("keep one"), is_twice, "{unread:?}");
    }
    let bomb = format!("a: {}1{}", "[".repeat(5_000), "]".repeat(5_000));
    file::parse(&bomb).expect_err("it is too deep");
}

#[test]
fn others_are_served_with_a_token_only() {
    let everywhere = Some(SocketAddr::from(([0, 0, 0, 0], 8440)));
    let open = Config::of_nothing().unwrap().listen_on(everywhere);
    assert_eq!(open.unwrap_err().code, ErrorCode::OpenWithoutToken);
    let closed = read("token: 0123456789abcdef").unwrap();
    closed.listen_on(everywhere).expect("it has a token");
}

#[test]
fn the_page_lists_every_key() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/arbiter.md");
    let page = std::fs::read_to_string(page).expect("docs/arbiter.md");
    let (_, known) = taken(file::parse(SECTION_14).unwrap(), Path::new(""));
    let mut known: Vec<String> = known
        .into_iter()
        .filter(|name| !name.ends_with('*'))
        .collect();
    known.extend(["events", "per_ms", "burst"].map(|key| format!("gate.tenant_rate.{key}")));
    assert!(known.len() > 30, "{known:?}");
    for name in known {
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not on the page"
        );
    }
}
