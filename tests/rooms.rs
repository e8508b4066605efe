//! Who may lean on whom: the rules between the rooms of this workspace, checked over
//! `cargo metadata` and the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use chiffon_tests::repository_root;
use toml::{Table, Value};

/// What a pure room must not depend on itself: whatever waits, reads a clock, draws numbers or
/// reaches outside the process.
const IMPURE: [&str; 22] = [
    "axum",
    "config",
    "dirs",
    "fs4",
    "getrandom",
    "gix",
    "hyper",
    "lapin",
    "libc",
    "nix",
    "rand",
    "rdkafka",
    "reqwest",
    "rusqlite",
    "rustix",
    "sysinfo",
    "tempfile",
    "tokio",
    "tokio-postgres",
    "tokio-util",
    "tracing-subscriber",
    "ureq",
];

/// Cargo features that bring a concrete bus or store.
const BACKENDS: [&str; 5] = ["memory", "amqp", "kafka", "sqlite", "postgres"];

/// A room, and the rooms it must not see, not even through others.
const WALLS: [(&str, &[&str]); 15] = [
    (
        "chiffon-common",
        &[
            "arbiter",
            "bus",
            "store",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "program",
            "cli",
            "failpoint",
        ],
    ),
    (
        "chiffon-arbiter",
        &[
            "failpoint",
            "bus",
            "store",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "program",
            "cli",
        ],
    ),
    // Whom a connection is trusted with is no business of what is said on it.
    (
        "chiffon-tls",
        &[
            "common",
            "arbiter",
            "bus",
            "store",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "arbiter-serve",
            "program",
            "cli",
        ],
    ),
    // How calls come and go is no business of what they ask.
    (
        "chiffon-http",
        &[
            "arbiter",
            "authorizer",
            "bus",
            "store",
            "tls",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "arbiter-serve",
            "program",
            "cli",
        ],
    ),
    // Who asks an authoriser knows nothing of who lets it ask: every shell of the arbiter may.
    (
        "chiffon-authorizer",
        &[
            "bus",
            "store",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "arbiter-serve",
            "program",
            "cli",
        ],
    ),
    (
        "chiffon-bus",
        &[
            "arbiter",
            "store",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "program",
            "cli",
        ],
    ),
    (
        "chiffon-store",
        &[
            "bus",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "program",
            "cli",
        ],
    ),
    (
        "chiffon-agent",
        &[
            "store",
            "arbiter",
            "orchestrator",
            "agent-infra",
            "agent-desktop",
            "cli",
        ],
    ),
    (
        "chiffon-agent-infra",
        &["store", "arbiter", "orchestrator", "agent-desktop", "cli"],
    ),
    (
        "chiffon-agent-desktop",
        &["store", "arbiter", "orchestrator", "agent-infra", "cli"],
    ),
    // The orchestrator reaches agents over the bus only.
    (
        "chiffon-orchestrator",
        &["agent", "agent-infra", "agent-desktop", "program", "cli"],
    ),
    // The control plane alone: one program without other parts (RFC-ARB-0001, section 15).
    (
        "chiffon-arbiter-serve",
        &[
            "bus",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "program",
            "cli",
        ],
    ),
    ("chiffon", &["orchestrator-serve", "tests"]),
    // What programs share knows no program, and nothing of what is done in one.
    (
        "chiffon-program",
        &[
            "arbiter",
            "authorizer",
            "store",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "arbiter-serve",
            "cli",
        ],
    ),
    // Any room may hold a failpoint; a pure one reads no environment, not even for a test.
    (
        "chiffon-failpoint",
        &[
            "common",
            "arbiter",
            "bus",
            "store",
            "agent",
            "agent-infra",
            "agent-desktop",
            "orchestrator",
            "program",
            "cli",
        ],
    ),
];

/// The workspace as cargo resolves it for this machine.
struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    fn load() -> Self {
        let mut command = MetadataCommand::new();
        command.manifest_path(repository_root().join("Cargo.toml"));
        // Without it, cargo would fetch the crates of all other systems too.
        command.other_options(["--filter-platform".to_owned(), "host-tuple".to_owned()]);
        Self {
            metadata: command.exec().expect("cargo metadata"),
        }
    }

    fn package(&self, name: &str) -> &Package {
        let mut members = self.metadata.workspace_packages().into_iter();
        members
            .find(|member| member.name == name)
            .unwrap_or_else(|| panic!("no member {name}"))
    }

    /// The names of all crates that end up in this one.
    fn reachable_from(&self, name: &str) -> BTreeSet<String> {
        let edges = self.normal_edges();
        let start = &self.package(name).id;
        let mut seen = BTreeSet::from([start]);
        let mut waiting = vec![start];
        while let Some(id) = waiting.pop() {
            for next in edges.get(id).into_iter().flatten() {
                if seen.insert(next) {
                    waiting.push(next);
                }
            }
        }
        seen.remove(start);
        seen.into_iter()
            .map(|id| self.metadata[id].name.to_string())
            .collect()
    }

    /// Tests and build scripts are not shipped and may depend on what they like.
    fn normal_edges(&self) -> BTreeMap<&PackageId, Vec<&PackageId>> {
        let resolve = self
            .metadata
            .resolve
            .as_ref()
            .expect("cargo resolved the workspace");
        let nodes = resolve.nodes.iter().map(|node| {
            let normal = node.deps.iter().filter(|dependency| {
                dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal)
            });
            (&node.id, normal.map(|dependency| &dependency.pkg).collect())
        });
        nodes.collect()
    }
}

fn crate_of(room: &str) -> String {
    match room {
        "cli" => "chiffon".to_owned(),
        room => format!("chiffon-{room}"),
    }
}

#[test]
fn no_room_sees_a_room_behind_its_walls() {
    let workspace = Workspace::load();
    for (name, hidden) in WALLS {
        let reachable = workspace.reachable_from(name);
        for room in hidden {
            assert!(
                !reachable.contains(&crate_of(room)),
                "{name} must not depend on {room}"
            );
        }
    }
}

#[test]
fn the_graph_is_really_followed_through_other_crates() {
    let workspace = Workspace::load();
    let reachable = workspace.reachable_from("chiffon-orchestrator");
    for name in ["chiffon-common", "tokio", "serde_core"] {
        assert!(reachable.contains(name), "{name} is below the orchestrator");
    }
}

#[test]
fn the_pure_rooms_know_no_clock_no_chance_and_no_outside() {
    let workspace = Workspace::load();
    for name in ["chiffon-common", "chiffon-arbiter"] {
        let dependencies = &workspace.package(name).dependencies;
        let normal = dependencies
            .iter()
            .filter(|one| one.kind == DependencyKind::Normal);
        for dependency in normal {
            let impure = IMPURE.contains(&dependency.name.as_str());
            assert!(!impure, "{name} must not depend on {}", dependency.name);
        }
        let reachable = workspace.reachable_from(name);
        assert!(!reachable.contains("tokio"), "{name} must not bring tokio");
    }
}

#[test]
fn only_programs_choose_a_concrete_bus_or_store() {
    let workspace = Workspace::load();
    for member in workspace.metadata.workspace_packages() {
        let is_program = member.targets.iter().any(cargo_metadata::Target::is_bin);
        if is_program || member.name == "chiffon-tests" {
            continue;
        }
        for dependency in &member.dependencies {
            let seam = matches!(dependency.name.as_str(), "chiffon-bus" | "chiffon-store");
            if !seam || dependency.kind != DependencyKind::Normal {
                continue;
            }
            let mut wanted: BTreeSet<&str> =
                dependency.features.iter().map(String::as_str).collect();
            if dependency.uses_default_features {
                wanted.insert("default");
            }
            let chosen = backends_behind(workspace.package(&dependency.name), wanted);
            assert!(
                chosen.is_empty(),
                "{} chooses {chosen:?} of {}",
                member.name,
                dependency.name
            );
        }
    }
}

/// What the programs of agents share speaks to RabbitMQ, and is part of a library only where a program asks for it.
#[test]
fn a_library_names_a_backend_only_behind_a_feature_that_programs_choose() {
    const SHARED: [&str; 2] = ["chiffon-agent", "chiffon-program"];
    let workspace = Workspace::load();
    let mut found = BTreeSet::new();
    for member in workspace.metadata.workspace_packages() {
        let is_seam = ["chiffon-bus", "chiffon-store"].contains(&member.name.as_str());
        let is_program = member.targets.iter().any(cargo_metadata::Target::is_bin);
        if is_seam || is_program {
            continue;
        }
        for (feature, implied) in &member.features {
            let names = |backend: &&str| {
                implied
                    .iter()
                    .any(|one| one.ends_with(&format!("/{backend}")))
            };
            if BACKENDS.iter().any(names) {
                assert_ne!(feature, "default", "{}", member.name);
                found.insert(member.name.to_string());
            }
        }
        let default = member.features.get("default");
        assert!(
            default.is_none_or(Vec::is_empty) || !SHARED.contains(&member.name.as_str()),
            "{} chooses by default",
            member.name
        );
    }
    assert_eq!(found, SHARED.map(str::to_owned).into());
}

/// The backends that a choice of features of a seam crate switches on.
fn backends_behind<'a>(seam: &'a Package, wanted: BTreeSet<&'a str>) -> Vec<&'a str> {
    let mut on = BTreeSet::new();
    let mut waiting: Vec<&str> = wanted.into_iter().collect();
    while let Some(feature) = waiting.pop() {
        if on.insert(feature) {
            let implied = seam.features.get(feature).into_iter().flatten();
            waiting.extend(implied.map(String::as_str));
        }
    }
    BACKENDS
        .into_iter()
        .filter(|backend| on.contains(backend))
        .collect()
}

/// Each member's name and manifest.
fn manifests() -> Vec<(String, Table)> {
    let workspace = Workspace::load();
    let read = |member: &Package| {
        let text = fs::read_to_string(&member.manifest_path).expect("a manifest");
        (
            member.name.to_string(),
            text.parse::<Table>().expect("a manifest is TOML"),
        )
    };
    workspace
        .metadata
        .workspace_packages()
        .into_iter()
        .map(read)
        .collect()
}

/// All dependency tables of a manifest, those of single platforms included.
fn dependency_tables(manifest: &Table) -> Vec<&Table> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms
        .into_iter()
        .flat_map(|table| table.values())
        .filter_map(Value::as_table);
    let tables = std::iter::once(manifest).chain(platforms);
    tables
        .flat_map(|table| KINDS.map(|kind| table.get(kind)))
        .flatten()
        .filter_map(Value::as_table)
        .collect()
}

fn from_workspace(value: Option<&Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

#[test]
fn every_version_stands_in_the_root_manifest() {
    for (member, manifest) in manifests() {
        for (dependency, entry) in dependency_tables(&manifest).into_iter().flatten() {
            let inherited = from_workspace(Some(entry));
            assert!(
                inherited,
                "{member}: {dependency} must say `workspace = true`"
            );
        }
    }
}

#[test]
fn every_room_takes_the_lints_of_the_workspace() {
    for (member, manifest) in manifests() {
        assert!(
            from_workspace(manifest.get("lints")),
            "{member}: [lints] must say `workspace = true`"
        );
    }
}

#[test]
fn every_folder_with_a_manifest_is_a_member() {
    let members = manifests().len();
    let entries = fs::read_dir(repository_root()).expect("the root can be read");
    let rooms = entries.filter(|entry| {
        entry
            .as_ref()
            .is_ok_and(|entry| entry.path().join("Cargo.toml").is_file())
    });
    assert_eq!(rooms.count(), members);
}
