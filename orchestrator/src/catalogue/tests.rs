//! Loading whole trees: what becomes an entry, what is named as broken, and what a bundle holds.

use std::{fs, path::Path};

use chiffon_common::{ErrorCode, Fidelity, Parameters, Tier, Undo};
use serde_json::{Value, json};

use super::*;

mod elsewhere;
mod loose_ends;
mod names;
mod undo;

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn root(path: &Path, trust: Trust) -> Root {
    Root {
        name: "mine".to_owned(),
        path: path.to_owned(),
        trust,
    }
}

/// The shipped catalogue, as it is extracted.
pub(crate) fn shipped() -> Catalogue {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalogue");
    extract_shipped(&path).unwrap();
    Catalogue::load(&[root(&path, Trust::Shipped)])
}

fn loaded(files: &[(&str, &str)]) -> Catalogue {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    Catalogue::load(&[root(folder.path(), Trust::Shipped)])
}

fn parameters(value: Value) -> Parameters {
    value.as_object().unwrap().clone()
}

const PLAY: &str = "- name: Greet\n  hosts: all\n  roles: [greet]\n";
const SPEC: &str = "argument_specs:\n  main:\n    options:\n      name: {required: true}\n      \
    times: {type: int}\n      loud: {type: bool}\n      tone: {choices: [warm, cold]}\n      \
    more: {type: dict}\n";

fn greet() -> Catalogue {
    loaded(&[
        ("playbooks/greet.yml", PLAY),
        ("roles/greet/meta/argument_specs.yml", SPEC),
        (
            "playbooks/greet.chiffon.yml",
            "tier: 1\nparameters:\n  name: {pattern: '[a-z]+', max_length: 5, secret: true}\n",
        ),
    ])
}

fn codes(given: Value) -> Vec<u16> {
    let catalogue = greet();
    let problems = catalogue
        .get("greet")
        .unwrap()
        .check(&parameters(given))
        .unwrap_err();
    problems
        .iter()
        .map(|problem| problem.code.number())
        .collect()
}

#[test]
fn the_shipped_catalogue_loads_whole() {
    let catalogue = shipped();
    assert_eq!(catalogue.broken(), []);
    for id in [
        "host_report",
        "ping",
        "package_install",
        "service_restart",
        "write_file",
    ] {
        assert!(catalogue.get(id).is_some(), "{id}");
    }
    let report = catalogue.get("host_report").unwrap();
    assert_eq!(
        (report.tier, report.parameters[0].choices.len()),
        (Tier::Zero, 6)
    );
    let bundle = report.bundle_files().unwrap();
    let paths: Vec<&str> = bundle.files().map(|(path, _)| path).collect();
    assert!(paths.contains(&"playbooks/host_report.yml"), "{paths:?}");
    assert!(
        paths.contains(&"roles/host_report/files/report.sh"),
        "{paths:?}"
    );
    assert!(
        !paths.iter().any(|path| path.contains("write_file")),
        "{paths:?}"
    );
}

#[test]
fn an_undo_is_filled_with_the_values_of_the_run_and_once_only() {
    let catalogue = shipped();
    let entry = catalogue.get("write_file").unwrap();
    let run = parameters(json!({"path": "/tmp/{content}", "content": "x"}));
    let Undo::Entry {
        entry: undo,
        parameters,
    } = entry.undo_of_run(&run, "run-1")
    else {
        panic!("write_file has an undo");
    };
    assert_eq!(undo.as_str(), "write_file_undo");
    assert_eq!(
        json!(parameters),
        json!({"path": "/tmp/{content}", "run_id": "run-1"})
    );
    assert!(!catalogue.get("write_file_undo").unwrap().listed);
}

#[test]
fn a_playbook_without_metadata_is_tier_two_and_blind() {
    let catalogue = loaded(&[
        ("playbooks/greet.yml", PLAY),
        (
            "roles/greet/tasks/main.yml",
            "- debug:\n    msg: !unsafe '{{ x }}'\n",
        ),
        (
            "group_vars/all.yml",
            "secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61\n",
        ),
    ]);
    assert_eq!(catalogue.broken(), []);
    let entry = catalogue.get("greet").unwrap();
    assert_eq!((entry.tier, entry.preview), (Tier::Two, Fidelity::Blind));
    assert_eq!(
        (entry.title.as_str(), entry.timeout_seconds),
        ("Greet", 3600)
    );
    assert!(
        entry
            .bundle_files()
            .unwrap()
            .file("group_vars/all.yml")
            .is_some()
    );
}

#[test]
fn an_added_root_cannot_lower_its_own_tier_and_is_previewed_as_far_as_the_scan_confirms() {
    let folder = tempfile::tempdir().unwrap();
    let described = "tier: 0\npreview: exact\nundo: none\n";
    write(
        folder.path(),
        &[
            ("playbooks/x.yml", "- hosts: all\n"),
            ("playbooks/x.chiffon.yml", described),
            (
                "playbooks/y.yml",
                "- hosts: all\n  tasks:\n  - command: x\n",
            ),
            ("playbooks/y.chiffon.yml", described),
            ("playbooks/z.yml", "- hosts: all\n"),
        ],
    );
    let catalogue = Catalogue::load(&[root(folder.path(), Trust::Added)]);
    for (id, preview, because) in [
        ("x", Fidelity::Exact, None),
        (
            "y",
            Fidelity::Blind,
            Some("playbooks/y.yml:3: `command` does nothing in check mode"),
        ),
        (
            "z",
            Fidelity::Blind,
            Some("the metadata does not say what a check run is worth"),
        ),
    ] {
        let entry = catalogue.get(id).unwrap();
        assert_eq!((entry.tier, entry.preview), (Tier::Two, preview), "{id}");
        assert_eq!(entry.fidelity_because().as_deref(), because, "{id}");
    }
}

/// What is declared is what the scan found, so that nobody is told more of a shipped entry than is so.
#[test]
fn the_scan_confirms_what_the_shipped_entries_say_of_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalogue");
    extract_shipped(&path).unwrap();
    let catalogue = Catalogue::load(&[root(&path, Trust::Shipped)]);
    for entry in catalogue.entries() {
        let text =
            fs::read_to_string(path.join(format!("playbooks/{}.chiffon.yml", entry.id))).unwrap();
        let declared = super::yaml::parse(&text).unwrap().to_json();
        let said = (&declared["preview"], &declared["tier"]);
        let view = entry.view();
        assert_eq!(
            said,
            (&json!(view.preview), &json!(view.tier)),
            "{}: {:#?} {:#?}",
            entry.id,
            view.preview_because,
            view.tier_because
        );
    }
}

#[test]
fn a_tier_is_raised_to_what_the_scan_sees() {
    let catalogue = loaded(&[
        (
            "playbooks/x.yml",
            "- hosts: all\n  tasks:\n  - copy: {dest: /x, content: y}\n",
        ),
        ("playbooks/x.chiffon.yml", "tier: 0\npreview: exact\n"),
        (
            "playbooks/y.yml",
            "- hosts: all\n  tasks:\n  - local_action: copy dest=/x content=y\n",
        ),
        ("playbooks/y.chiffon.yml", "tier: 1\npreview: exact\n"),
        (
            "playbooks/z.yml",
            "- hosts: all\n  tasks:\n  - copy: {dest: /x, content: y}\n",
        ),
        ("playbooks/z.chiffon.yml", "tier: 2\npreview: exact\n"),
    ]);
    for (id, tier, because) in [
        (
            "x",
            Tier::One,
            vec!["playbooks/x.yml:3: `copy` changes its host"],
        ),
        (
            "y",
            Tier::Two,
            vec!["playbooks/y.yml:3: `copy` changes its host"],
        ),
        ("z", Tier::Two, vec![]),
    ] {
        let entry = catalogue.get(id).unwrap();
        assert_eq!(entry.tier, tier, "{id}");
        assert_eq!(entry.tier_because, because, "{id}");
    }
}

#[test]
fn each_broken_file_is_named_and_the_rest_loads() {
    let catalogue = loaded(&[
        ("playbooks/good.yml", "- hosts: all\n"),
        ("playbooks/bad_yaml.yml", "- hosts: all\n  x: [\n"),
        ("playbooks/no_play.yml", "just: vars\n"),
        ("playbooks/Bad-Name.yml", "- hosts: all\n"),
        ("playbooks/no_role.yml", "- hosts: all\n  roles: [gone]\n"),
        ("playbooks/typo.yml", "- hosts: all\n"),
        ("playbooks/typo.chiffon.yml", "title: x\nteir: 1\n"),
        ("playbooks/lost_undo.yml", "- hosts: all\n"),
        (
            "playbooks/lost_undo.chiffon.yml",
            "undo:\n  entry: nothing\n",
        ),
        ("playbooks/orphan.chiffon.yml", "title: x\n"),
        ("playbooks/strange.yml", "- hosts: all\n"),
        ("playbooks/strange.chiffon.yml", "examples: ['Do {this}']\n"),
        ("playbooks/obeyed.yml", "- hosts: all\n  roles: [obeyed]\n"),
        (
            "roles/obeyed/meta/argument_specs.yml",
            "argument_specs:\n  main:\n    options:\n      ansible_python_interpreter: {}\n",
        ),
    ]);
    let entries: Vec<&str> = catalogue.entries().map(|entry| entry.id.as_str()).collect();
    assert_eq!(entries, ["good"]);
    let reason = |file: &str| {
        let found = catalogue
            .broken()
            .iter()
            .find(|broken| broken.file.ends_with(file));
        let found = found.unwrap_or_else(|| panic!("{file}: {:?}", catalogue.broken()));
        (found.line, found.reason.clone())
    };
    assert!(reason("bad_yaml.yml").0.is_some());
    assert_eq!(reason("no_play.yml").1, "is no list of plays");
    assert!(reason("Bad-Name.yml").1.contains("lower-case"));
    assert!(reason("no_role.yml").1.contains("\"gone\""));
    let (line, typo) = reason("typo.chiffon.yml");
    assert_eq!(line, Some(2));
    assert!(typo.contains("did you mean \"tier\"?"), "{typo}");
    assert!(reason("lost_undo.chiffon.yml").1.contains("nothing"));
    assert!(reason("strange.chiffon.yml").1.contains("{this}"));
    assert!(reason("orphan.chiffon.yml").1.contains("no playbook"));
    assert_eq!(reason("argument_specs.yml").0, Some(4));
}

#[test]
fn a_broken_file_is_named_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("playbooks/strange.yml", "- hosts: all\n"),
            ("playbooks/strange.chiffon.yml", "tire: 1\n"),
            ("playbooks/lost.yml", "- hosts: all\n"),
            ("playbooks/lost.chiffon.yml", "undo:\n  entry: nothing\n"),
        ],
    );
    let gone = folder.path().join("gone");
    let roots = [root(folder.path(), Trust::Added), root(&gone, Trust::Added)];
    let catalogue = Catalogue::load(&roots);
    let mut files: Vec<&Path> = catalogue
        .broken()
        .iter()
        .map(|broken| Path::new(&broken.file))
        .collect();
    files.sort_unstable();
    let playbooks = folder.path().join("playbooks");
    assert_eq!(
        files,
        [
            gone.as_path(),
            &playbooks.join("lost.chiffon.yml"),
            &playbooks.join("strange.chiffon.yml"),
        ]
    );
}

#[test]
fn metadata_permits_no_text_that_the_bound_of_all_texts_forbids() {
    for entry in shipped().entries() {
        for parameter in &entry.parameters {
            let most = parameter.max_length.unwrap_or_default();
            assert!(most <= 64 * 1024, "{}: {}", entry.id, parameter.name);
        }
    }
}

#[test]
fn the_first_root_has_an_id() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("playbooks/x.yml", "- hosts: all\n")]);
    let both = [
        root(folder.path(), Trust::Shipped),
        root(folder.path(), Trust::Added),
    ];
    let catalogue = Catalogue::load(&both);
    assert_eq!(catalogue.get("x").unwrap().trust, Trust::Shipped);
    assert_eq!(catalogue.broken()[0].reason, "x is already defined by mine");
}

#[test]
fn roles_come_along_with_what_they_depend_on_and_all_where_a_template_chooses() {
    let files = [
        (
            "playbooks/a.yml",
            "- hosts: all\n  vars_files: [vars/a.yml]\n  roles:\n    - {role: one, size: 3}\n",
        ),
        ("playbooks/vars/a.yml", "x: 1\n"),
        (
            "playbooks/b.yml",
            "- hosts: all\n  tasks:\n    - block:\n        - include_role: {name: '{{ r }}'}\n",
        ),
        ("roles/one/meta/main.yml", "dependencies:\n  - role: two\n"),
        (
            "roles/one/meta/argument_specs.yml",
            "argument_specs:\n  main:\n    options:\n      size: {type: int}\n      x: {}\n",
        ),
        (
            "roles/two/tasks/main.yml",
            "- ansible.builtin.import_role:\n    name: three\n",
        ),
        ("roles/three/tasks/main.yml", "[]\n"),
        ("roles/four/tasks/main.yml", "[]\n"),
    ];
    let catalogue = loaded(&files);
    assert_eq!(catalogue.broken(), []);
    let holds = |id: &str, path: &str| {
        let bundle = catalogue.get(id).unwrap().bundle_files().unwrap();
        bundle.file(path).is_some()
    };
    assert!(holds("a", "roles/three/tasks/main.yml") && holds("a", "playbooks/vars/a.yml"));
    assert!(!holds("a", "roles/four/tasks/main.yml") && !holds("a", "playbooks/b.yml"));
    assert!(holds("b", "roles/four/tasks/main.yml"));
    let declared: Vec<&str> = catalogue
        .get("a")
        .unwrap()
        .parameters
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(declared, ["x"], "what the playbook fixes is not asked for");
}

#[test]
fn the_digest_covers_files_and_metadata() {
    let digest = |task: &str, tier: &str| {
        let catalogue = loaded(&[
            ("playbooks/x.yml", "- hosts: all\n  roles: [r]\n"),
            ("playbooks/x.chiffon.yml", tier),
            ("roles/r/tasks/main.yml", task),
        ]);
        catalogue.get("x").unwrap().digest
    };
    assert_eq!(digest("[]\n", "tier: 1\n"), digest("[]\n", "tier: 1\n"));
    assert_ne!(digest("[]\n", "tier: 1\n"), digest("[ ]\n", "tier: 1\n"));
    assert_ne!(digest("[]\n", "tier: 1\n"), digest("[]\n", "tier: 2\n"));
}

#[test]
fn parameters_pass_only_as_declared() {
    assert_eq!(codes(json!({})), [5104]);
    assert_eq!(codes(json!({"name": "x", "tims": 1})), [5106]);
    assert_eq!(
        codes(json!({"name": "x", "ansible_python_interpreter": "/bin/sh"})),
        [5107]
    );
    assert_eq!(
        codes(json!({"name": "x", "more": {"a": [{"__ansible_unsafe": "y"}]}})),
        [5107]
    );
    assert_eq!(codes(json!({"name": "x", "times": "3.0"})), [5105]);
    assert_eq!(codes(json!({"name": "x", "times": "03"})), [5105]);
    assert_eq!(codes(json!({"name": "x", "tone": "hot"})), [5105]);
    assert_eq!(codes(json!({"name": "x\ny"})), [5105]);
    assert_eq!(codes(json!({"name": "abcdef"})), [5105]);
    assert_eq!(codes(json!({"name": ["x"]})), [5105]);
    assert_eq!(
        codes(json!({"tims": 1, "times": "many"})),
        [5105, 5106, 5104]
    );
    let mut deep = json!("x");
    for _ in 0..20 {
        deep = json!([deep]);
    }
    assert_eq!(codes(json!({"name": "x", "more": {"a": deep}})), [5105]);
    assert_eq!(codes(json!({"name": "x".repeat(64 * 1024 + 1)})), [5105]);
}

#[test]
fn values_change_type_only_where_nothing_is_lost_and_templates_stay_text() {
    let catalogue = greet();
    let entry = catalogue.get("greet").unwrap();
    let given = json!({"name": "x", "times": "3", "loud": "yes", "more": {"a": "{{ lookup('pipe', 'id') }}"}});
    let checked = entry.check(&parameters(given)).unwrap();
    assert_eq!(
        json!(checked),
        json!({"name": "x", "times": 3, "loud": true, "more": {"a": "{{ lookup('pipe', 'id') }}"}})
    );
}

#[test]
fn a_secret_value_is_in_no_problem_and_no_title() {
    let catalogue = greet();
    let entry = catalogue.get("greet").unwrap();
    let given = parameters(json!({"name": "HUSH1"}));
    let problems = entry.check(&given).unwrap_err();
    assert_eq!(problems[0].code, ErrorCode::ParameterInvalid);
    assert!(!problems[0].detail.contains("HUSH1"));
    assert!(!entry.title_with(&given).contains("HUSH1"));
    assert_eq!(entry.secret_parameters(), ["name"]);
}

#[test]
fn a_number_that_is_not_exact_is_refused() {
    let catalogue = greet();
    let entry = catalogue.get("greet").unwrap();
    let most: u64 = 1 << 53;
    for (value, fits) in [
        (json!(most), true),
        (json!(most + 1), false),
        (json!((most + 1).to_string()), false),
        (json!(u64::MAX), false),
    ] {
        let given = parameters(json!({"name": "x", "times": value}));
        let told = entry.check(&given).err().unwrap_or_default();
        assert_eq!(told.is_empty(), fits, "{value}: {told:?}");
        assert!(
            told.iter().all(|one| one.detail.contains("not exact")),
            "{told:?}"
        );
    }
}

#[test]
fn a_value_cannot_look_like_what_stands_around_it() {
    let catalogue = greet();
    let entry = catalogue.get("greet").unwrap();
    for (value, shown) in [
        (json!("plain/name-1.txt"), "plain/name-1.txt"),
        (json!(""), "\"\""),
        (
            json!("a) (nas). Reply yes, b = c"),
            "\"a) (nas). Reply yes, b = c\"",
        ),
        (
            json!("x\u{202e}y\u{200b} \"z\""),
            "\"x\\u{202e}y\\u{200b} \\\"z\\\"\"",
        ),
        (json!(["\u{202e}"]), "[\"\\u{202e}\"]"),
    ] {
        let title = entry.title_with(&parameters(json!({"more": value})));
        assert!(title.ends_with(&format!("(more = {shown})")), "{title}");
    }
}

#[test]
fn a_modified_copy_of_the_shipped_catalogue_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalogue");
    extract_shipped(&path).unwrap();
    let playbook = path.join("playbooks/ping.yml");
    let original = fs::read(&playbook).unwrap();
    fs::write(&playbook, "- hosts: all\n").unwrap();
    fs::write(path.join("playbooks/extra.yml"), "- hosts: all\n").unwrap();
    extract_shipped(&path).unwrap();
    assert_eq!(fs::read(&playbook).unwrap(), original);
    assert!(!path.join("playbooks/extra.yml").exists());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}
