//! A plan of three steps with a fault at each of them (R51): what ran, what did not and what is not known, by table, in
//! states, record and words; nothing runs after the fault, and a person can ask again, go on or end it. Real playbooks;
//! the second step is on two hosts, and its fault on one of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use chiffon_tests::{Running, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::fresh::{Fresh, LIMIT, ends, id_of, json, metadata, newest, up};

/// The steps in order, and their hosts; the fault of each is on the last of them.
const STEPS: [(&str, &[&str]); 3] = [
    ("lay_first", &["alpha"]),
    ("lay_second", &["alpha", "beta"]),
    ("lay_third", &["beta"]),
];

const SENTENCE: &str =
    "lay_first on alpha, then lay_second on alpha and beta, then lay_third on beta";

/// What is expected after a fault at one step: of the steps before it, of itself, and of those behind it.
struct Expected {
    request: &'static str,
    tasks: [&'static str; 3],
    /// In the ledger; nothing where the request has not ended.
    recorded: Option<[&'static str; 3]>,
    /// Words that the request itself, or its problem, says.
    says: &'static str,
    /// Words that the commit says.
    commit: &'static str,
    /// Whether the machine needs a look.
    marked: bool,
}

/// Where the stones are laid: what each step did, and the fault that is prepared.
struct Site {
    fresh: Fresh,
    effects: PathBuf,
    fault: PathBuf,
    /// The shell that stays until it is ended.
    staying: PathBuf,
}

impl Site {
    fn new() -> Self {
        let hosts =
            "    alpha: {ansible_connection: local}\n    beta: {ansible_connection: local}\n";
        let fresh = Fresh::with_hosts(hosts);
        let file = |name: &str| fresh.home.scratch().join(name);
        let (effects, fault, staying) = (file("effects"), file("fault"), file("staying"));
        let site = Self {
            fresh,
            effects,
            fault,
            staying,
        };
        for (entry, _) in STEPS {
            site.entry(entry);
        }
        site
    }

    /// Says that it begins, meets its fault, and says that it has ended.
    fn entry(&self, id: &str) {
        let here = format!("{id} {{{{ inventory_hostname }}}}");
        let (effects, fault, staying) = (
            self.effects.display(),
            self.fault.display(),
            self.staying.display(),
        );
        let tasks = format!(
            "- name: Begin\n  ansible.builtin.shell: echo 'begins {here}' >> {effects}\n  changed_when: true\n\
             - name: Go on\n  ansible.builtin.shell: |\n    case \"$(grep '^{here} ' {fault})\" in\n      *' fails') exit 3 ;;\n      *' stays') echo $$ > {staying}.new; mv {staying}.new {staying}; sleep 900 ;;\n    esac\n    echo 'ends {here}' >> {effects}\n  changed_when: true\n"
        );
        let metadata = metadata(600, "ask").replace("A trial", id);
        self.fresh.entry(id, &metadata, &tasks);
    }

    /// The last host of this step meets this fault from now on.
    fn prepare(&self, step: usize, fault: &str) {
        let _old = fs::remove_file(&self.staying);
        let _old = fs::remove_file(&self.effects);
        let (entry, hosts) = STEPS[step];
        let host = hosts.last().unwrap();
        fs::write(&self.fault, format!("{entry} {host} {fault}\n")).unwrap();
    }

    fn mend(&self) {
        fs::write(&self.fault, "").unwrap();
    }

    /// Asks for all three steps, with an approval of the plan.
    fn ask(&self) -> Running {
        let asked = ["run", SENTENCE, "--yes=2", "--confirm", "alpha"];
        self.fresh.chiffon().spawn(&asked)
    }

    /// The same, up to the step that stays.
    fn ask_and_stay(&self, step: usize) -> (Running, Pid) {
        self.prepare(step, "stays");
        let running = self.ask();
        let pid = wait_for("the step that stays", LIMIT, || {
            let text = fs::read_to_string(&self.staying).ok()?;
            Pid::from_raw(text.trim().parse().ok()?)
        });
        (running, pid)
    }

    fn show(&self, id: &str) -> Value {
        let shown = self.fresh.run(&["request", "show", id, "--json"]);
        json(&shown.expect_code(0).stdout)
    }

    /// Waits until a person is asked how the step that was cut off ended.
    fn until_asked(&self, id: &str) {
        wait_for("the question", LIMIT, || {
            let shown = self.show(id);
            let asked = shown["decisions"].as_array()?;
            let open = |one: &&Value| one["state"] == "pending" && one["kind"] == "interrupted";
            asked.iter().find(open).map(|_| ())
        });
    }

    /// The steps that began, each with its host.
    fn begun(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.effects).unwrap_or_default();
        let begins = text.lines().filter_map(|line| line.strip_prefix("begins "));
        let mut begun: Vec<_> = begins.map(str::to_owned).collect();
        begun.sort();
        begun
    }

    /// What is open on this machine, which all hosts are.
    fn needs_look(&self) -> Value {
        let hosts = json(&self.fresh.run(&["inventory", "show", "--json"]).stdout);
        let all = hosts["hosts"].as_array().unwrap();
        let found = all.iter().find(|one| one["name"] == "alpha").unwrap();
        found["needs_look"].clone()
    }

    /// The message of the commit of this request.
    fn commit(&self, id: &str) -> String {
        let found = wait_for("its ledger commit", LIMIT, || {
            self.show(id)["ledger_commit"].as_str().map(str::to_owned)
        });
        let ledger = self.fresh.home.path().join("ledger");
        git(&ledger, &["log", "-1", "--format=%B", &found])
    }

    /// Holds everything that is told of a request against what is expected after a fault at this step.
    #[track_caller]
    fn is(&self, id: &str, step: usize, expected: &Expected) {
        let Expected { request, tasks, .. } = expected;
        let shown = self.show(id);
        let at = format!("a fault at step {}, {request}: {shown:#}", step + 1);
        assert_eq!(shown["state"], *request, "{at}");
        let mut found: Vec<_> = shown["tasks"].as_array().unwrap().iter().collect();
        found.retain(|task| task["mode"] == "apply");
        found.sort_by_key(|task| task["step"].as_u64());
        let found: Vec<_> = found.iter().map(|task| &task["state"]).collect();
        assert_eq!(found, in_order(step, tasks), "{at}");
        assert!(shown.to_string().contains(expected.says), "{at}");
        if let Some(recorded) = &expected.recorded {
            let commit = self.commit(id);
            let lines = commit.lines().filter_map(|line| line.strip_prefix("* "));
            let words: Vec<_> = lines.map(|line| line.split(':').next().unwrap()).collect();
            assert_eq!(words, in_order(step, recorded), "{at}{commit}");
            assert!(commit.contains(expected.commit), "{at}{commit}");
        }
        let look = self.needs_look();
        let is_marked = look["request_id"] == *id;
        assert_eq!(is_marked, expected.marked, "{look:#}, {at}");
        // Nothing behind the fault, and nothing twice.
        assert_eq!(self.begun(), begins_until(step), "{at}");
    }
}

/// A word for each step, by whether it lies before the fault, at it, or behind it.
fn in_order(step: usize, words: &[&'static str; 3]) -> Vec<&'static str> {
    let place = |n: usize| usize::from(n >= step) + usize::from(n > step);
    (0..STEPS.len()).map(|n| words[place(n)]).collect()
}

/// `lay_first alpha` and so on, up to this step.
fn begins_until(step: usize) -> Vec<String> {
    let steps = STEPS.iter().take(step + 1);
    let mut all: Vec<_> = steps
        .flat_map(|(entry, hosts)| hosts.iter().map(move |host| format!("{entry} {host}")))
        .collect();
    // Hosts of one step begin in any order.
    all.sort();
    all
}

fn git(repository: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The `ansible-playbook` above a process that one of its tasks started.
fn playbook_above(pid: Pid) -> Pid {
    let mut found = None;
    let mut next = Some(pid.as_raw_nonzero().get());
    while let Some(pid) = next.filter(|pid| *pid > 1) {
        let file =
            |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        if file("cmdline").contains("bin/ansible-playbook") {
            found = Some(pid);
        }
        let status = file("status");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        next = parent.and_then(|parent| parent.trim().parse().ok());
    }
    found.and_then(Pid::from_raw).unwrap()
}

#[test]
fn a_step_that_fails_and_a_fleet_that_is_killed_under_a_step() {
    let site = Site::new();
    let mut fleet = up(&site.fresh);
    for step in 0..STEPS.len() {
        site.prepare(step, "fails");
        site.ask().wait(LIMIT).expect_code(1);
        let id = id_of(&newest(&site.fresh));
        let expected = Expected {
            request: "failed",
            tasks: ["completed", "failed", "cancelled"],
            recorded: Some(["completed", "failed", "not_run"]),
            says: "a step before it was not completed",
            commit: "It ended as failed: ",
            marked: false,
        };
        // Behind the last step there is none.
        let says = match step {
            2 => "beta failed",
            _ => expected.says,
        };
        site.is(&id, step, &Expected { says, ..expected });
        if step == 1 {
            site.mend();
            let again = ["request", "retry", &id, "--yes=2", "--confirm", "alpha"];
            site.fresh.run(&again).expect_code(0);
            let all = [begins_until(1), begins_until(2)].concat();
            assert_eq!(site.begun().len(), all.len(), "asked again, all of it runs");
        }
    }
    for step in 0..STEPS.len() {
        let (asking, _) = site.ask_and_stay(step);
        fleet.kill_9();
        let _nobody_knows = asking.wait(LIMIT);
        fleet = up(&site.fresh);
        let id = id_of(&newest(&site.fresh));
        site.until_asked(&id);
        site.is(&id, step, &ASKED);
        let word = [
            "request",
            "resolve",
            &id,
            "failed",
            "--comment",
            "not there",
        ];
        site.fresh.run(&word).expect_code(0);
        let expected = Expected {
            request: "failed",
            tasks: ["completed", "failed", "cancelled"],
            recorded: Some(["completed", "interrupted", "not_run"]),
            says: "a person decided not to run it again",
            commit: "said failed: not there",
            marked: false,
        };
        site.is(&id, step, &expected);
    }
    site.fresh.run(&["audit", "verify"]).expect_code(0);
    ends(fleet);
}

/// A run was cut off, and nobody has said yet how it ended.
const ASKED: Expected = Expected {
    request: "running",
    tasks: ["completed", "interrupted", "open"],
    recorded: None,
    says: "was cut off after it had begun. Run it again?",
    commit: "",
    marked: true,
};

#[test]
fn a_step_that_is_cancelled_and_one_whose_run_is_cut_off() {
    let site = Site::new();
    let fleet = up(&site.fresh);
    for step in 0..STEPS.len() {
        let (asking, _) = site.ask_and_stay(step);
        let id = id_of(&newest(&site.fresh));
        site.fresh.run(&["request", "cancel", &id]).expect_code(0);
        let _cancelled = asking.wait(LIMIT);
        wait_for("its end", LIMIT, || {
            (site.show(&id)["ended"] == true).then_some(())
        });
        let expected = Expected {
            request: "cancelled",
            tasks: ["completed", "cancelled", "cancelled"],
            recorded: Some(["completed", "cancelled", "not_run"]),
            says: [
                "; what was changed on alpha is not known",
                "; what was changed on alpha, beta is not known",
                "; what was changed on beta is not known",
            ][step],
            commit: "with changes, and it is not known whether with more",
            marked: true,
        };
        site.is(&id, step, &expected);
        // The next plan there is warned, until somebody has looked.
        site.fresh
            .run(&["inventory", "clear", "alpha"])
            .expect_code(0);
        assert!(site.needs_look().is_null());
    }
    for (step, (entry, hosts)) in STEPS.iter().enumerate() {
        let (asking, pid) = site.ask_and_stay(step);
        kill_process(playbook_above(pid), Signal::KILL).unwrap();
        let id = id_of(&newest(&site.fresh));
        site.until_asked(&id);
        site.is(&id, step, &ASKED);
        let _asks = asking.wait(LIMIT);
        site.mend();
        site.fresh
            .run(&["request", "resolve", &id, "retry"])
            .expect_code(0);
        site.fresh.run(&["watch", &id]).expect_code(0);
        let mut all = begins_until(STEPS.len() - 1);
        all.extend(hosts.iter().map(|host| format!("{entry} {host}")));
        all.sort();
        assert_eq!(site.begun(), all, "it goes on where it was cut off");
        let shown = site.show(&id);
        assert_eq!(shown["state"], "completed", "{shown:#}");
        let commit = site.commit(&id);
        assert!(commit.contains("said retry"), "{commit}");
        assert!(
            commit.contains("it is not known whether with more"),
            "{commit}"
        );
        assert!(site.needs_look().is_null());
    }
    site.fresh.run(&["audit", "verify"]).expect_code(0);
    ends(fleet);
}
