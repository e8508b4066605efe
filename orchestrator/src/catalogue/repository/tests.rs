//! Shapes that repositories have, and input that is out to do harm: read whole or refused as a whole, in bounds, with
//! words.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, sync::atomic::AtomicBool};

use chiffon_common::{ErrorCode, Fidelity, Problem, Tier};

use super::{ADDED, Copy, Staged, Wanted, fetch, pinned};
use crate::catalogue::{Acceptance, Acceptances, Catalogue};

mod covered;

const PLAY: &str = "- name: Play\n  hosts: all\n  tasks: [{debug: {msg: x}}]\n";

/// A data folder and a repository beside it.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn of(files: &[(&str, &str)]) -> Self {
        let case = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(case.at()).unwrap();
        for (path, text) in files {
            case.write(path, text.as_bytes());
        }
        case
    }

    fn at(&self) -> std::path::PathBuf {
        self.folder.path().join("repo")
    }

    fn write(&self, path: &str, text: &[u8]) {
        let path = self.at().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn added(&self) -> std::path::PathBuf {
        self.folder.path().join(ADDED)
    }

    fn stage_from(&self, from: &str) -> Result<Staged, Problem> {
        let scratch = self.folder.path().join("scratch");
        let _none = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).unwrap();
        let wanted = Wanted {
            from: from.to_owned(),
            ..Wanted::default()
        };
        fetch(&wanted, &scratch, &AtomicBool::new(false))?.stage(&self.added(), None)
    }

    fn stage(&self) -> Result<Staged, Problem> {
        self.stage_from(self.at().to_str().unwrap())
    }

    fn refused(&self) -> Problem {
        let problem = self.stage().unwrap_err();
        assert!(nothing_half(&self.added()), "{problem:?}");
        problem
    }
}

fn nothing_half(added: &Path) -> bool {
    fs::read_dir(added).map_or(true, |mut entries| entries.next().is_none())
}

fn ids(catalogue: &Catalogue) -> Vec<String> {
    catalogue
        .entries()
        .map(|entry| entry.id.to_string())
        .collect()
}

fn reasons(catalogue: &Catalogue) -> String {
    let broken = catalogue.broken().iter();
    let lines = broken.map(|one| format!("{}:{:?}: {}\n", one.file, one.line, one.reason));
    lines.collect()
}

#[test]
fn playbooks_are_found_in_the_shapes_that_repositories_have() {
    for (files, wanted) in [
        (
            &["site.yml", "update-all.yaml"][..],
            &["repo_site", "repo_update_all"][..],
        ),
        (
            &["playbooks/a.yml", "playbooks/sub/b.yml"],
            &["repo_a", "repo_sub_b"],
        ),
        (
            &["infra/ansible/main.yml", "infra/ansible/ansible.cfg"],
            &["repo_main"],
        ),
        (
            &["metal/cluster.yml", "metal/roles/x/tasks/main.yml"],
            &["repo_cluster"],
        ),
    ] {
        let case = Case::of(&[("docker-compose.yml", "services: {}\n"), ("README.md", "x")]);
        for file in files {
            let text = match file.ends_with(".cfg") || file.contains("roles") {
                true => "",
                false => PLAY,
            };
            case.write(file, text.as_bytes());
        }
        let catalogue = case.stage().unwrap().catalogue(&[]);
        assert_eq!(ids(&catalogue), wanted, "{}", reasons(&catalogue));
        let entry = catalogue.entries().next().unwrap();
        assert_eq!(
            (entry.tier, entry.preview, entry.accepted),
            (Tier::Two, Fidelity::Blind, false)
        );
    }
}

#[test]
fn what_is_added_is_what_was_listed_and_counts_once_accepted_until_it_changes() {
    let metadata = "tier: 1\npreview: exact\n";
    let case = Case::of(&[("site.yml", PLAY), ("site.chiffon.yml", metadata)]);
    case.stage().unwrap().add().unwrap();
    let roots = pinned(&case.added());
    let listed = Catalogue::load(&roots);
    let site = listed.get("repo_site").unwrap();
    let word = Acceptance {
        digest: site.digest,
        tier: None,
    };
    let accepted = Acceptances::from([(site.id.clone(), word)]);
    let counts = |roots| {
        let catalogue = Catalogue::load_accepted(roots, &accepted);
        let site = catalogue.get("repo_site").unwrap();
        (site.tier, site.preview, site.accepted)
    };
    assert_eq!(counts(&roots), (Tier::One, Fidelity::Exact, true));
    assert_eq!(
        case.stage().unwrap().add().unwrap_err().code,
        ErrorCode::RepositoryThere
    );

    case.write("site.yml", PLAY.replace("msg: x", "msg: y").as_bytes());
    case.write("more.yml", PLAY.as_bytes());
    assert_eq!(
        counts(&roots),
        (Tier::One, Fidelity::Exact, true),
        "the copy stays"
    );
    let staged = case.stage().unwrap();
    let changes = staged.difference(&[]).changes;
    let seen: Vec<_> = changes
        .iter()
        .map(|one| (one.entry.as_str(), one.kind))
        .collect();
    assert_eq!(seen, [("repo_more", "added"), ("repo_site", "changed")]);
    assert_eq!(changes[1].changed, ["site.yml"]);
    staged.replace().unwrap();
    assert_eq!(counts(&roots), (Tier::Two, Fidelity::Blind, false));

    fs::write(case.added().join("repo/tree/site.yml"), PLAY).unwrap();
    let edited = Catalogue::load(&roots);
    assert!(ids(&edited).is_empty() && reasons(&edited).contains("was changed since"));
}

#[test]
fn a_commit_is_fetched_without_a_working_tree() {
    let case = Case::of(&[("site.yml", PLAY), ("roles/r/tasks/main.yml", "[]\n")]);
    symlink("/etc/passwd", case.at().join("out.yml")).unwrap();
    symlink("site.yml", case.at().join("again.yml")).unwrap();
    fs::File::create(case.at().join("big.bin"))
        .unwrap()
        .set_len(1 << 21)
        .unwrap();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        let done = command
            .current_dir(case.at())
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(args)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "x"]);
    let staged = case
        .stage_from(&format!("file://{}", case.at().display()))
        .unwrap();
    assert_eq!(staged.source().commit, Some(git(&["rev-parse", "HEAD"])));
    assert_eq!(ids(&staged.catalogue(&[])), ["repo_again", "repo_site"]);
    let left = format!("{:?}", staged.survey().left);
    assert!(
        left.contains("leaves the repository") && left.contains("larger than 1 MiB"),
        "{left}"
    );

    for bad in [
        "ext::sh -c true",
        "http://example.org/x",
        "https://a:b@example.org/x",
        "-x",
        "",
    ] {
        let problem = case.stage_from(bad).unwrap_err();
        assert_eq!(problem.code, ErrorCode::RepositoryUnusable, "{bad}");
    }
    let gone = format!("file://{}", case.folder.path().join("gone").display());
    let problem = case.stage_from(&gone).unwrap_err();
    assert!(problem.detail.contains("git cannot fetch"), "{problem:?}");
}

#[test]
fn what_is_empty_or_no_repository_of_ansible_is_refused_as_a_whole() {
    assert!(Case::of(&[]).refused().detail.contains("it is empty"));
    let other = Case::of(&[
        ("k8s/app.yml", "kind: Pod\n"),
        ("roles/r/tasks/main.yml", "[]\n"),
    ]);
    assert!(other.refused().detail.contains("no playbook"));
}

#[test]
fn harmful_files_cost_only_what_needs_them() {
    let case = Case::of(&[
        ("good.yml", PLAY),
        ("circle.yml", "- import_playbook: round.yml\n"),
        ("round.yml", "- import_playbook: circle.yml\n"),
        ("twice.yml", "- hosts: all\n  hosts: other\n"),
        ("role.yml", "- hosts: all\n  roles: [absent]\n"),
        (
            "group_vars/all/vault.yml",
            "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        ),
    ]);
    let mut bomb = "- hosts: all\n  vars:\n    a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for n in 1..12 {
        let many = vec![format!("*a{}", n - 1); 9].join(",");
        bomb.push_str(&format!("    a{n}: &a{n} [{many}]\n"));
    }
    case.write("bomb.yml", bomb.as_bytes());
    case.write("latin.yml", b"- hosts: all\n  vars: {x: \xe4}\n");
    fs::File::create(case.at().join("huge.yml"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    fs::write(case.folder.path().join("secret.yml"), PLAY).unwrap();
    symlink("../secret.yml", case.at().join("out.yml")).unwrap();
    let staged = case.stage().unwrap();
    let catalogue = staged.catalogue(&[]);
    assert_eq!(ids(&catalogue), ["repo_good"]);
    let told = reasons(&catalogue);
    for wanted in [
        "circle.yml:Some(1): imports lead in a circle: circle.yml -> round.yml -> circle.yml",
        "twice.yml:Some(2)",
        "bomb.yml:",
        "latin.yml:Some(2): the file is not UTF-8",
        "role.yml:None: the role \"absent\" is not in the repository",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    let left = format!("{:?}", staged.survey().left);
    for wanted in [
        "huge.yml",
        "larger than 1 MiB",
        "out.yml",
        "leaves the catalogue folder",
    ] {
        assert!(left.contains(wanted), "{wanted}\n{left}");
    }
    assert_eq!(staged.survey().vaulted, ["group_vars/all/vault.yml"]);
    drop(staged);
    assert!(
        nothing_half(&case.added()),
        "what is not added leaves nothing"
    );
}

#[test]
fn two_of_one_title_and_two_thousand_playbooks_load() {
    let case = Case::of(&[("a-b.yml", PLAY), ("a_b.yml", PLAY), ("same.yml", PLAY)]);
    for n in 0..2_000 {
        case.write(&format!("playbooks/p{n}.yml"), PLAY.as_bytes());
    }
    let staged = case.stage().unwrap();
    let catalogue = staged.catalogue(&[]);
    assert_eq!(catalogue.entries().count(), 2_002);
    assert!(reasons(&catalogue).contains("which is that of a-b.yml"));
    staged.add().unwrap();
    assert_eq!(
        Catalogue::load(&pinned(&case.added())).entries().count(),
        2_002
    );
}

#[test]
fn only_what_a_playbook_leads_to_asks_for_parameters() {
    let case = Case::of(&[
        (
            "site.yml",
            "- hosts: all\n  tasks:\n    - include_tasks: tasks/reached.yml\n    - debug: {msg: '{% for one, two in pairs %}{{ one }}{{ two }}{% endfor %}{% set made = 1 %}{{ made }}'}\n    - debug: {msg: '{{ guarded }} {{ of_host }} {{ needed }}'}\n      when: guarded is defined\n    - template: {src: it.j2, dest: /tmp/it}\n",
        ),
        (
            "other.yml",
            "- hosts: all\n  tasks: [{include_tasks: tasks/elsewhere.yml}]\n",
        ),
        ("tasks/reached.yml", "- debug: {msg: '{{ reached }}'}\n"),
        ("tasks/elsewhere.yml", "- debug: {msg: '{{ elsewhere }}'}\n"),
        ("templates/it.j2", "{{ templated }}\n"),
        ("example.hosts.ini", "[web]\nnode1 of_host=7\n"),
    ]);
    let staged = case.stage().unwrap();
    let catalogue = staged.catalogue(&[]);
    let asked = |id: &str| -> Vec<String> {
        let id = id.parse().unwrap();
        let entry = catalogue.entries().find(|entry| entry.id == id).unwrap();
        let required = entry.parameters.iter().filter(|one| one.required);
        required.map(|one| one.name.to_string()).collect()
    };
    let found = asked("repo_site");
    for (name, is_asked) in [
        ("needed", true),
        ("reached", true),
        ("elsewhere", false),
        ("one", false),
        ("two", false),
        ("made", false),
        ("guarded", false),
        ("of_host", false),
    ] {
        assert_eq!(
            found.iter().any(|one| one == name),
            is_asked,
            "{name}: {found:?}"
        );
    }
    assert_eq!(asked("repo_other"), ["elsewhere"]);
}

#[test]
fn collections_that_are_used_and_not_there_are_named() {
    let case = Case::of(&[
        (
            "site.yml",
            "- hosts: all\n  tasks:\n    - community.general.ufw: {state: enabled}\n    - ansible.builtin.debug: {msg: x}\n    - mine.here.one: {}\n",
        ),
        ("group_vars/all.yml", "a.b.c: no module\n"),
        (
            "collections/ansible_collections/mine/here/galaxy.yml",
            "name: here\n",
        ),
    ]);
    let staged = case.stage().unwrap();
    assert_eq!(staged.survey().missing_collections, ["community.general"]);
}

#[test]
fn inventories_are_told_apart_and_code_is_never_data() {
    let ini = "[web]\nweb1\n";
    let case = Case::of(&[
        ("site.yml", "- hosts: all\n  vars_files: [secret.yml]\n"),
        (
            "ansible.cfg",
            "[defaults]\ninventory = ./inventories/prod.yml ; the real one\n",
        ),
        ("hosts.ini", ini),
        ("example.hosts.ini", ini),
        ("inventories/prod.yml", "all: {hosts: {a: {}}}\n"),
        ("inventories/lab/hosts", ini),
        (
            "inventories/lab/aws.yml",
            "\n  plugin: amazon.aws.aws_ec2\n",
        ),
        ("inventories/lab/group_vars/web.yml", "port: 80\n"),
        (
            "inventories/lab/group_vars/all/vault.yml",
            "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        ),
        ("inventory/run.sh", "#!/bin/sh\n"),
        ("inventory/README.md", "words\n"),
        ("inventory/notes.yml", "a: 1\n"),
        ("group_vars/all.yml", "ansible_user: pi\n"),
    ]);
    let bomb: String = (1..12)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]\n",
                vec![format!("*a{}", n - 1); 9].join(",")
            )
        })
        .collect();
    case.write(
        "inventories/lab/bomb.yml",
        format!("a0: &a0 [x]\n{bomb}all: {{hosts: {{}}}}\n").as_bytes(),
    );
    let staged = case.stage().unwrap();
    let sources = &staged.survey().inventories;
    let told: Vec<(&str, bool, usize, usize)> = sources
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.is_default,
                one.files.len(),
                one.code.len(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("inventories/prod.yml", true, 1, 0),
            ("example.hosts.ini", false, 1, 0),
            ("hosts.ini", false, 1, 0),
            ("inventories/lab", false, 1, 1),
            ("inventory", false, 0, 1),
        ]
    );
    let lab = &sources[3];
    assert_eq!(
        lab.broken.len(),
        1,
        "Ansible would never come back from a bomb"
    );
    assert_eq!(lab.vaulted, ["inventories/lab/group_vars/all/vault.yml"]);
    let to = tempfile::tempdir().unwrap();
    let copy = |shared, vaulted, code| {
        let to = to.path().join(format!("{shared}{vaulted}{code}"));
        let copy = Copy {
            shared,
            vaulted,
            code,
        };
        lab.write(&staged.files(), &to, copy).unwrap();
        move |path: &str| to.join(path).exists()
    };
    let data = copy(false, false, false);
    assert!(data("inventories/lab/hosts") && data("inventories/lab/group_vars/web.yml"));
    for kept_back in [
        "inventories/lab/aws.yml",
        "inventories/lab/group_vars/all/vault.yml",
        "group_vars/all.yml",
    ] {
        assert!(!data(kept_back), "{kept_back}");
    }
    let all = copy(true, true, true);
    assert!(all("inventory/run.sh") && all("inventories/lab/group_vars/all/vault.yml"));
    let left = format!("{:?}", staged.survey().left);
    assert!(left.contains("its plays read secret.yml"), "{left}");
}

/// Its entries are gone, and whoever asks for one is told why and what helps.
#[test]
fn an_edited_copy_is_named_where_one_of_its_entries_is_asked_for() {
    let case = Case::of(&[("one.yml", PLAY)]);
    case.stage().unwrap().add().unwrap();
    let roots = super::roots(case.folder.path());
    let [root] = roots.as_slice() else {
        panic!("{roots:?}");
    };
    let id = format!("{}_one", root.name);
    assert!(Catalogue::load(&roots).find(&id).is_ok());
    let copy = root.path.join("tree/one.yml");
    fs::write(&copy, format!("{PLAY}# edited\n")).unwrap();
    let catalogue = Catalogue::load(&roots);
    let problem = catalogue.find(&id).unwrap_err();
    assert!(
        problem.detail.contains("was changed since it was added"),
        "{problem}"
    );
    assert!(
        problem.todo.contains("chiffon catalogue update"),
        "{problem}"
    );
    let other = catalogue.find("ping").unwrap_err();
    assert!(!other.detail.contains("was changed"), "{other}");
}
