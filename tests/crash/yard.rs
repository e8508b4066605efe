//! A data folder made ready for a crash cell, and beside it everything that the cell writes down: history, stream,
//! effects and logs. What is done in it is left to the others.
//!
//! Most runs are made cheap: an `ansible-playbook` first on the PATH answers for them in a few milliseconds, in the
//! callback's own words, and gives those that are to be real on to the real one. Both append what they did to the
//! effects file under the mark of the attempt (I4).

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use chiffon_tests::Home;

use super::ansible::shared_ansible;

/// Stands in parameters that their entry declares secret; nothing but the rows of its own request may show it (I12).
pub const CANARY: &str = "canary-5f1c0de9a7";

/// Hosts, all of them this machine: changes meet in one line, readings do not.
pub const HOSTS: [&str; 3] = ["alpha", "beta", "gamma"];

/// Entries of the test's own: what an interruption means, whether its runs are real, how long one takes.
pub const ENTRIES: [Entry; 5] = [
    Entry::cheap("mark_ask", "ask", "0.05"),
    Entry::cheap("mark_retry", "retry", "0.05"),
    Entry::cheap("mark_fail", "fail", "0.05"),
    Entry::cheap("mark_slow", "ask", "0.6"),
    Entry {
        id: "mark_real",
        on_interrupt: "ask",
        takes: None,
    },
];

/// An entry that appends to the effects file.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub id: &'static str,
    pub on_interrupt: &'static str,
    /// Seconds between its effect and its end; nothing where the real Ansible runs it.
    pub takes: Option<&'static str>,
}

impl Entry {
    const fn cheap(id: &'static str, on_interrupt: &'static str, takes: &'static str) -> Self {
        Self {
            id,
            on_interrupt,
            takes: Some(takes),
        }
    }
}

/// The folder of a cell.
pub struct Yard {
    pub home: Home,
    /// Where `ansible-playbook` is looked for first.
    pub programs: PathBuf,
}

impl Yard {
    pub fn new() -> Self {
        let home = Home::new();
        let yard = Self {
            programs: home.scratch().join("programs"),
            home,
        };
        fs::create_dir_all(&yard.programs).unwrap();
        fs::create_dir_all(yard.logs()).unwrap();
        yard.inventory();
        yard.home.write_config(&format!(
            "catalogue:\n  folders:\n    - {}\nhttp:\n  requests_per_second: 100000\n  burst: 100000\nlog:\n  level: warn\nagents:\n  heartbeat_seconds: 1\n",
            yard.catalogue().display()
        ));
        for entry in ENTRIES {
            yard.entry(entry.id, entry.on_interrupt, entry.takes);
        }
        yard.stand_in();
        yard
    }

    pub fn effects(&self) -> PathBuf {
        self.home.scratch().join("effects")
    }

    /// Command lines that the stand-in found no playbook in: it would have left all runs to the real one, which is slow.
    pub fn misread(&self) -> PathBuf {
        self.programs.join("misread")
    }

    pub fn history(&self) -> PathBuf {
        self.home.scratch().join("history.jsonl")
    }

    pub fn stream(&self) -> PathBuf {
        self.home.scratch().join("stream.jsonl")
    }

    /// A file a life of the program: what it said on both streams.
    pub fn logs(&self) -> PathBuf {
        self.home.scratch().join("logs")
    }

    fn catalogue(&self) -> PathBuf {
        self.home.scratch().join("mine")
    }

    fn inventory(&self) {
        let hosts = HOSTS.map(|host| format!("    {host}:\n      ansible_connection: local\n"));
        let text = format!(
            "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n{}",
            hosts.concat()
        );
        self.home.write_inventory("hosts.yml", &text);
    }

    /// Writes an entry of the test's own; tier 2, because nobody shipped it.
    pub fn entry(&self, id: &str, on_interrupt: &str, takes: Option<&str>) {
        let play =
            format!("- name: {id}\n  hosts: all\n  gather_facts: false\n  roles:\n    - {id}\n");
        let metadata = format!(
            "title: {id}\ndescription: Leaves a mark\nexamples: []\ntier: 1\npreview: blind\ntimeout_seconds: 60\non_interrupt: {on_interrupt}\nrequires_become: false\nresources: {{memory_gb: 0, gpu: false}}\nparameters: {{code: {{secret: true}}}}\n"
        );
        let effects = self.effects();
        let tasks = format!(
            "- name: Leave a mark\n  ansible.builtin.shell: printf '%s {id} real\\n' \"$CHIFFON_RUN\" >> {}\n  changed_when: true\n# takes {}\n",
            effects.display(),
            takes.unwrap_or("its time")
        );
        let specs = "argument_specs:\n  main:\n    short_description: A mark\n    options:\n      code:\n        type: str\n        required: false\n        description: A secret\n";
        for (path, text) in [
            (format!("playbooks/{id}.yml"), play.as_str()),
            (format!("playbooks/{id}.chiffon.yml"), metadata.as_str()),
            (format!("roles/{id}/tasks/main.yml"), tasks.as_str()),
            (format!("roles/{id}/meta/argument_specs.yml"), specs),
        ] {
            let path = self.catalogue().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// The `ansible-playbook` that answers for cheap runs.
    fn stand_in(&self) {
        let real = real_ansible();
        let said = Command::new(&real).arg("--version").output().unwrap();
        assert!(said.status.success(), "{said:?}");
        let version = self.programs.join("version");
        fs::write(&version, &said.stdout).unwrap();
        let takes = ENTRIES.iter().filter_map(|entry| {
            let seconds = entry.takes?;
            Some(format!("    {}) takes={seconds}; changed=1 ;;\n", entry.id))
        });
        let script = format!(
            r#"#!/bin/sh
check=
for word; do
    case $word in
        --version) exec cat '{version}' ;;
        --check) check=yes ;;
        playbooks/*.yml | ./playbooks/*.yml) entry=${{word##*/}}; entry=${{entry%.yml}} ;;
    esac
done
case $entry in
    '') echo "$*" >> '{misread}'; exit 64 ;;
{takes}    bundle_*) takes=0; changed=1 ;;
    ping) takes=0; changed=0 ;;
    *) exec '{real}' "$@" ;;
esac
# One reading in eight does not reach its host at first, so that it is tried again by a timer.
case $CHIFFON_RUN in
    *[08]-1) away=$changed ;;
    *) away=1 ;;
esac
[ -n "$check" ] || printf '%s %s cheap\n' "$CHIFFON_RUN" "$entry" >> '{effects}'
[ "$takes" = 0 ] || sleep "$takes"
while read -r line; do
    case $line in
        *localhost*) host=localhost ;; *alpha*) host=alpha ;; *beta*) host=beta ;; *gamma*) host=gamma ;;
    esac
done < inventory/hosts.yml
if [ "$away" = 0 ]; then
    printf '{{"event":"host","host":"%s","status":"unreachable","task":"ping","message":"ssh: connect to host away port 22: Connection refused"}}\n{{"event":"end","hosts":{{"%s":{{"unreachable":1}}}}}}\n' \
        "$host" "$host" > "$CHIFFON_EVENTS"
    exit 4
fi
printf '{{"event":"start","total":1}}\n{{"event":"task","number":1,"name":"%s"}}\n{{"event":"end","hosts":{{"%s":{{"ok":1,"changed":%s}}}}}}\n' \
    "$entry" "$host" "$changed" > "$CHIFFON_EVENTS"
"#,
            version = version.display(),
            takes = takes.collect::<String>(),
            real = real.display(),
            effects = self.effects().display(),
            misread = self.misread().display(),
        );
        for name in ["ansible-playbook", "ansible"] {
            let path = self.programs.join(name);
            match name {
                "ansible" => std::os::unix::fs::symlink(real.with_file_name(name), &path).unwrap(),
                _ => fs::write(&path, &script).unwrap(),
            }
            if name != "ansible" {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        fs::write(self.effects(), "").unwrap();
    }
}

/// The real one that all suites share.
fn real_ansible() -> PathBuf {
    let folder = shared_ansible();
    let on_path = || {
        let path = std::env::var_os("PATH").unwrap();
        std::env::split_paths(&path)
            .map(|folder| folder.join("ansible-playbook"))
            .find(|program| program.is_file())
    };
    let installed = fs::read_dir(&folder).ok().and_then(|mut entries| {
        entries.find_map(|entry| {
            let program = entry.ok()?.path().join("bin/ansible-playbook");
            program.is_file().then_some(program)
        })
    });
    installed.or_else(on_path).expect("an Ansible")
}

/// Files of the data folder that a run leaves only while it lasts.
pub fn left_over(home: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![home.join("agents"), home.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let in_agents = path.starts_with(home.join("agents"));
            let is_temporary =
                name.ends_with(".new") || name.ends_with(".tmp") || name.contains("rebuilt");
            if is_temporary || (in_agents && name.contains("damaged")) {
                found.push(path.clone());
            } else if in_agents && path.is_dir() {
                match name.as_ref() {
                    "runs" => found.extend(
                        fs::read_dir(&path)
                            .into_iter()
                            .flatten()
                            .flatten()
                            .map(|entry| entry.path()),
                    ),
                    "bundles" => {}
                    _ => folders.push(path),
                }
            }
        }
    }
    found.sort();
    found.dedup();
    found
}
