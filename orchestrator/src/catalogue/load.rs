//! Loading a catalogue: every playbook of every root becomes an entry or a broken file with its reason;
//! one broken file never costs another entry.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use chiffon_common::{
    Digest, EntryId, Fidelity, OnInterrupt, Problem, Tier,
    api::{BrokenFile, CatalogueView},
};
use serde::{Deserialize, Serialize};

use super::{
    entry::{self, Entry, fidelity_word},
    infer::Guesser,
    metadata::{Metadata, UndoRule},
    parameter::{Parameter, read_specs},
    playbook::{METADATA, metadata_of, play_name, stray},
    repository,
    roles::{Needs, Reader, broken},
    scan::{Scan, Scanner, own_code},
    tree::Tree,
    yaml::Fault,
};

/// Why a check run of an entry of a repository is not believed.
const NOT_ACCEPTED: &str = "nobody has accepted it yet: chiffon catalogue accept";
const DEFAULT_TIMEOUT_SECONDS: u64 = 3600;

/// How far the words of a root's metadata are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Came with the program.
    Shipped,
    /// Added by a person: tier 2, whatever it says of itself, and no more than what the scan confirms.
    Added,
    /// The pinned copy of a repository, which somebody else may have written: as [`Self::Added`], and `blind`.
    Repository,
}

/// A person's word that an entry, as it was then, may count as what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The entry's digest, with all its files.
    pub digest: Digest,
    /// The tier that the person gave it, where its metadata names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
}

/// What was accepted, by entry.
pub type Acceptances = BTreeMap<EntryId, Acceptance>;

/// A folder with an ordinary Ansible tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// For people and for the origin of entries.
    pub name: String,
    /// The folder that holds `playbooks/` and `roles/`.
    pub path: PathBuf,
    /// How far it is believed.
    pub trust: Trust,
}

/// Everything that may run.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    entries: BTreeMap<EntryId, Entry>,
    broken: Vec<BrokenFile>,
    /// Roots of which nothing was read, with the reason.
    pub(super) lost: Vec<(String, Problem)>,
}

impl Catalogue {
    /// Reads the roots in order; where two define the same id, the first has it. Reads files, so it blocks.
    pub fn load(roots: &[Root]) -> Self {
        Self::load_accepted(roots, &Acceptances::new())
    }

    /// The same; what was accepted and has not changed since counts as what it says of itself.
    pub fn load_accepted(roots: &[Root], accepted: &Acceptances) -> Self {
        Self::load_with(roots, Some(accepted))
    }

    /// The same as if everything was accepted as it is, for looking at what that would come to.
    pub fn load_as_accepted(roots: &[Root]) -> Self {
        Self::load_with(roots, None)
    }

    /// Only what `root` holds, read beside others whose entries it may name. Nothing of it is accepted.
    pub fn load_beside(others: &[Root], root: Root) -> Self {
        Self::part_of(others, root, Some(&Acceptances::new()))
    }

    /// The same as if all of it was accepted.
    pub fn load_as_accepted_beside(others: &[Root], root: Root) -> Self {
        Self::part_of(others, root, None)
    }

    fn part_of(others: &[Root], root: Root, accepted: Option<&Acceptances>) -> Self {
        let known = Self::load_with(others, accepted);
        let roots: Vec<Root> = others.iter().cloned().chain([root]).collect();
        let mut all = Self::load_with(&roots, accepted);
        all.entries.retain(|id, _| !known.entries.contains_key(id));
        all.broken.retain(|file| !known.broken.contains(file));
        all
    }

    fn load_with(roots: &[Root], accepted: Option<&Acceptances>) -> Self {
        let mut catalogue = Self::default();
        for root in roots {
            let tree = match root.trust {
                Trust::Repository => repository::read_pinned(&root.path),
                Trust::Shipped | Trust::Added => Ok(Tree::read(&root.path)),
            };
            match tree {
                Ok(tree) => Loader {
                    reader: Reader::new(&tree),
                    scanner: Scanner::new(&tree),
                    guesser: Guesser::new(&tree),
                    tree: &tree,
                    root,
                    accepted,
                    own: BTreeSet::new(),
                    base: repository::base(root),
                    catalogue: &mut catalogue,
                }
                .load(),
                Err(problem) => {
                    let file = place(&root.path, "");
                    let fault = Fault::whole(problem.detail.as_str());
                    catalogue.broken.push(broken(&file, fault));
                    catalogue.lost.push((root.name.clone(), problem));
                }
            }
        }
        catalogue.refuse_loose_ends();
        catalogue
    }

    /// All entries, by id.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// What did not load.
    pub fn broken(&self) -> &[BrokenFile] {
        &self.broken
    }

    /// An entry that may be there.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        let id: EntryId = id.parse().ok()?;
        self.entries.get(&id)
    }

    /// The form of the HTTP API.
    pub fn view(&self) -> CatalogueView {
        CatalogueView {
            entries: self.entries.values().map(Entry::view).collect(),
            broken: self.broken.clone(),
        }
    }

    /// An undo or verify that leads nowhere would be found only when it is needed.
    fn refuse_loose_ends(&mut self) {
        let loose: Vec<(EntryId, Fault)> = self
            .entries
            .values()
            .filter_map(|entry| Some((entry.id.clone(), self.loose_end(entry)?)))
            .collect();
        for (id, fault) in loose {
            if let Some(entry) = self.entries.remove(&id) {
                let file = place(&entry.root, &metadata_of(&entry.playbook));
                self.broken.push(broken(&file, fault));
            }
        }
    }

    fn loose_end(&self, entry: &Entry) -> Option<Fault> {
        let undo = match &entry.undo {
            UndoRule::Entry(call) => Some((call, "undo", false, 0)),
            UndoRule::None(_) => None,
        };
        let verify = entry.verify.iter();
        let verify = verify.map(|check| (&check.call, "verify", check.short, check.line));
        undo.into_iter()
            .chain(verify)
            .find_map(|(call, key, short, line)| {
                let reason = match self.entries.get(&call.entry) {
                    // It would change the host again instead of looking at it.
                    Some(named) if named.id == entry.id && key == "verify" => {
                        format!("{key} names {} itself", call.entry)
                    }
                    None => format!("{key} names {}, which is no entry", call.entry),
                    Some(named) if named.verifies_only && key == "undo" => {
                        format!("{key} names {}, which changes nothing", call.entry)
                    }
                    // What the short form promises of a command would not be looked at.
                    Some(named) if named.verifies_only && !short => format!(
                        "{key} names {}, which is reached by its short form only",
                        call.entry
                    ),
                    Some(named) => format!("{key}: {}", named.misfit(&call.parameters)?),
                };
                Some(Fault::at(line, reason))
            })
    }
}

struct Loader<'a> {
    tree: &'a Tree,
    reader: Reader<'a>,
    scanner: Scanner<'a>,
    guesser: Guesser<'a>,
    root: &'a Root,
    /// Nothing where everything counts as accepted.
    accepted: Option<&'a Acceptances>,
    /// The entries of a repository, which its metadata names without the name of the repository.
    own: BTreeSet<EntryId>,
    /// Where its files lie.
    base: PathBuf,
    catalogue: &'a mut Catalogue,
}

impl Loader<'_> {
    fn load(mut self) {
        if self.root.trust == Trust::Repository {
            return self.load_repository();
        }
        if let Some(reason) = self.tree.refused.get("") {
            return self.report(broken("", Fault::whole(reason.as_str())));
        }
        let tree = self.tree;
        let paths = tree.files.keys().chain(tree.refused.keys());
        let top = paths.filter_map(|path| path.strip_prefix("playbooks/"));
        let mut names: Vec<&str> = top.filter(|name| !name.contains('/')).collect();
        names.sort_unstable();
        let known = BTreeSet::new();
        for name in names {
            let playbook = format!("playbooks/{name}");
            let loaded = match name.strip_suffix(".yml") {
                Some(id) if !name.ends_with(METADATA) => self.entry(id, &playbook),
                _ => stray(tree, &known, &playbook).map_or(Ok(()), Err),
            };
            if let Err(fault) = loaded {
                self.report(fault);
            }
        }
    }

    /// Playbooks lie wherever the repository has them, and their entries bear its name.
    fn load_repository(mut self) {
        let found = repository::playbooks(self.tree, &self.root.name);
        let playbooks = found.playbooks.iter().map(|(path, _)| path.as_str());
        let broken = found.broken.iter().map(|fault| fault.file.as_str());
        let known: BTreeSet<&str> = playbooks.chain(broken).collect();
        let metadata = self
            .tree
            .files
            .keys()
            .filter(|path| path.contains(".chiffon."));
        let strays: Vec<_> = metadata
            .filter_map(|path| stray(self.tree, &known, path))
            .collect();
        for fault in found.broken.into_iter().chain(strays) {
            self.report(fault);
        }
        self.own = found.playbooks.iter().map(|(_, id)| id.clone()).collect();
        for (playbook, id) in found.playbooks {
            if let Err(fault) = self.entry(id.as_str(), &playbook) {
                self.report(fault);
            }
        }
    }

    fn report(&mut self, mut fault: BrokenFile) {
        fault.file = place(&self.base, &fault.file);
        // A role that several entries use is one fault.
        if !self.catalogue.broken.contains(&fault) {
            self.catalogue.broken.push(fault);
        }
    }

    fn entry(&mut self, id: &str, playbook: &str) -> Result<(), BrokenFile> {
        let here = |fault| broken(playbook, fault);
        let id: EntryId = id
            .parse()
            .map_err(|error| here(Fault::whole(format!("{error}"))))?;
        if let Some(first) = self.catalogue.entries.get(&id) {
            let reason = format!("{id} is already defined by {}", first.origin);
            return Err(here(Fault::whole(reason)));
        }
        let plays = self.tree.yaml(playbook).map_err(here)?;
        let name = play_name(&plays).map_err(here)?;
        repository::refuse_circles(self.tree, playbook).map_err(here)?;
        let needs = self.reader.needs(playbook)?;
        let mut parameters = self.parameters(&needs)?;
        let guessed = parameters.is_empty() && self.root.trust == Trust::Repository;
        if guessed {
            parameters = self.guesser.inferred(playbook, &needs);
        }
        let metadata = self.metadata(playbook, &mut parameters)?;
        let mut entry = self.assemble(id, playbook, name, metadata, parameters, &needs)?;
        entry.guessed = guessed;
        self.catalogue.entries.insert(entry.id.clone(), entry);
        Ok(())
    }

    /// What the roles that the playbook itself uses declare, less what the playbook fixes.
    fn parameters(&self, needs: &Needs) -> Result<Vec<Parameter>, BrokenFile> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for (folder, fixed) in &needs.direct {
            for parameter in self.declared(folder)? {
                let name = parameter.name.as_str();
                let is_known = parameters.iter().any(|known| known.name == parameter.name);
                if !is_known && !fixed.contains(name) {
                    parameters.push(parameter);
                }
            }
        }
        Ok(parameters)
    }

    fn declared(&self, role: &str) -> Result<Vec<Parameter>, BrokenFile> {
        let places = [
            "argument_specs.yml",
            "argument_specs.yaml",
            "main.yml",
            "main.yaml",
        ];
        let places = places.map(|name| format!("{role}/meta/{name}"));
        let Some(file) = self.tree.first(places.iter().map(String::as_str)) else {
            return Ok(Vec::new());
        };
        let here = |fault| broken(file, fault);
        let node = self.tree.yaml(file).map_err(here)?;
        match node.get("argument_specs") {
            Some(specs) => read_specs(specs).map_err(here),
            None if file.contains("/meta/argument_specs.") => {
                Err(here(Fault::whole("there is no `argument_specs` in it")))
            }
            None => Ok(Vec::new()),
        }
    }

    fn metadata(
        &self,
        playbook: &str,
        parameters: &mut [Parameter],
    ) -> Result<Metadata, BrokenFile> {
        let file = metadata_of(playbook);
        if self.tree.first([file.as_str()]).is_none() {
            return Ok(Metadata::default());
        }
        let read = self.tree.yaml(&file).and_then(|node| {
            let mut metadata = Metadata::read(&node)?;
            metadata.calls(|call| {
                let own = format!("{}_{}", self.root.name, call.entry);
                let own: Option<EntryId> = own.parse().ok();
                if let Some(own) = own.filter(|own| self.own.contains(own)) {
                    call.entry = own;
                }
            });
            metadata.limit(parameters)?;
            Ok(metadata)
        });
        read.map_err(|fault| broken(&file, fault))
    }

    /// What a check run of an entry is worth before it is approved, and why it is no more: of what nobody has accepted, as
    /// little as its folder says of itself.
    fn preview_of(
        &self,
        declared: Option<Fidelity>,
        scan: &Scan,
        believed: bool,
        files: &BTreeSet<String>,
    ) -> (Fidelity, Vec<String>) {
        let blind = |worth: Fidelity| worth.max(Fidelity::Blind);
        let (worth, mut because) = preview(declared, scan);
        match self.root.trust {
            _ if believed => {}
            Trust::Repository => return (blind(scan.fidelity), vec![NOT_ACCEPTED.to_owned()]),
            Trust::Shipped | Trust::Added => {
                // A check run would load it before anybody has said yes to it.
                if let Some(code) = own_code(files) {
                    because.push(format!("{code} is code; {NOT_ACCEPTED}"));
                    return (blind(worth), because);
                }
            }
        }
        (worth, because)
    }

    fn assemble(
        &mut self,
        id: EntryId,
        playbook: &str,
        play_name: Option<String>,
        metadata: Metadata,
        parameters: Vec<Parameter>,
        needs: &Needs,
    ) -> Result<Entry, BrokenFile> {
        let own = |path: &String| Some((path.clone(), self.tree.files.get(path)?.clone()));
        let files: BTreeMap<_, _> = needs.files.iter().filter_map(own).collect();
        let bundle = entry::bundle(&files)
            .map_err(|error| broken(playbook, Fault::whole(error.to_string())))?;
        let described = self.tree.files.get(&metadata_of(playbook));
        let described = described.map(|file| &*file.content).unwrap_or_default();
        let digest = Digest::of_parts([bundle.digest().as_bytes().as_slice(), described]);
        let accepted = self.accepted.and_then(|accepted| accepted.get(&id));
        let accepted = accepted.filter(|one| one.digest == digest);
        let believed =
            self.root.trust == Trust::Shipped || accepted.is_some() || self.accepted.is_none();
        let scan = self.scanner.scan(playbook, &needs.files, &needs.mentioned);
        if let Some(elsewhere) = scan.outside {
            return Err(elsewhere);
        }
        let (preview, preview_because) =
            self.preview_of(metadata.preview, &scan, believed, &needs.files);
        let given = accepted.and_then(|one| one.tier);
        let declared = metadata.tier.or(given);
        let declared = declared.filter(|_| believed).unwrap_or(Tier::Two);
        let no_way_back = "The catalogue names no way back.";
        Ok(Entry {
            title: metadata
                .title
                .or(play_name)
                .unwrap_or_else(|| id.as_str().replace('_', " ")),
            description: metadata.description.unwrap_or_default(),
            examples: metadata.examples,
            tier: declared.max(scan.tier),
            tier_because: match scan.tier > declared {
                true => scan.raised_by(),
                false => Vec::new(),
            },
            preview,
            preview_because,
            resources: metadata.resources,
            timeout_seconds: metadata.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            on_interrupt: metadata.on_interrupt.unwrap_or(OnInterrupt::Ask),
            verify: metadata.verify,
            verifies_only: metadata.verifies_only,
            undo: metadata
                .undo
                .unwrap_or_else(|| UndoRule::None(no_way_back.to_owned())),
            parameters,
            requires_become: metadata.requires_become,
            keeps_daemons: metadata.keeps_daemons,
            listed: !metadata.unlisted && !metadata.verifies_only,
            origin: self.root.name.clone(),
            root: self.base.clone(),
            roles_path: match self.root.trust {
                Trust::Repository => repository::roles_path(self.tree),
                Trust::Shipped | Trust::Added => Vec::new(),
            },
            trust: self.root.trust,
            playbook: playbook.to_owned(),
            accepted: believed,
            guessed: false,
            digest,
            files: Arc::new(files),
            id,
        })
    }
}

/// What a check run is worth by metadata and scan, the lower of the two, and why it is no more.
fn preview(declared: Option<Fidelity>, scan: &Scan) -> (Fidelity, Vec<String>) {
    let mut because = scan.lowered_by();
    let said = declared.unwrap_or(Fidelity::Blind);
    if said > scan.fidelity {
        because = vec![match declared {
            None => "the metadata does not say what a check run is worth".to_owned(),
            Some(_) => format!("the metadata says `preview: {}`", fidelity_word(said)),
        }];
    }
    (said.max(scan.fidelity), because)
}

/// The path of a file of a root, or of the root itself.
fn place(root: &Path, relative: &str) -> String {
    let path = match relative {
        "" => root.to_owned(),
        relative => root.join(relative),
    };
    path.display().to_string()
}
