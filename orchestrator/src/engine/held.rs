//! What lies in the remote of the ledger, held against what was pushed there: who emptied it, moved its `main` back, or
//! took an anchor away or forged one is named. Pushing is left to `remote`; whether the seals and commits that it knows are
//! still ours is left to `verify` and `anchor`.
//!
//! It is fetched whole into an empty repository, which is thrown away: what our own repository has says nothing of what the
//! remote still has.
//!
//! What was pushed is remembered in references of our own repository, for each remote by itself. Where they are gone,
//! as after the repository was made anew, the anchors that lie there still say how far its `main` must be.

use std::{collections::BTreeMap, path::Path};

use chiffon_common::{Digest, ErrorCode, Problem, api::AuditAnchor, visible};

use super::{Shared, remote::ANCHORS};

/// Where it is remembered what was pushed: below it a folder for each remote.
const PUSHED: &str = "refs/chiffon/pushed";
const MAIN: &str = "refs/heads/main";
/// An anchor may move on between listing and reading; then it is listed again, at most so often.
const TRIES: usize = 3;

/// What the remote holds, and what was pushed there.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By day.
    pub(super) anchors: BTreeMap<String, AuditAnchor>,
    main: Option<String>,
    /// In words why the history behind its `main` cannot be had.
    lost: Option<String>,
    /// In words why what lies there is no anchor of that day.
    forged: BTreeMap<String, String>,
    pushed_anchors: BTreeMap<String, AuditAnchor>,
    pushed_main: Option<String>,
    /// What is here and should have been pushed.
    head: Option<AuditAnchor>,
}

impl Shared {
    /// Notes what was just pushed. Where that fails, less is found later and nothing wrongly.
    pub(super) async fn remember(&self, remote: &str, day: &str, anchor: &str, main: Option<&str>) {
        let folder = folder_of(remote);
        let mut lines = format!("update {folder}/{day} {anchor}\n");
        if let Some(main) = main {
            lines += &format!("update {folder}/main {main}\n");
        }
        let noted = self.git(&["update-ref", "--stdin"], lines.as_bytes()).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "it could not be noted what was pushed to the remote of the ledger");
        }
    }

    /// What lies in the remote as it is; nothing where none is configured.
    pub(super) async fn held_by_remote(&self) -> Result<Option<Held>, Problem> {
        let Some(remote) = &self.settings.ledger_remote else {
            return Ok(None);
        };
        let unreachable = |why: String| {
            Problem::new(
                ErrorCode::LedgerFault,
                format!("the remote of the ledger cannot be asked: {why}"),
                "look at ledger.remote in chiffon.yaml and whether git reaches it; or verify without --remote",
            )
        };
        // First what was pushed: what is pushed meanwhile only adds to what is there.
        let mut held = Held {
            head: self.audit_head().await?,
            ..Held::default()
        };
        self.recall(remote, &mut held).await.map_err(unreachable)?;
        for last in (0..TRIES).map(|one| one + 1 == TRIES) {
            let moved = self.look_there(remote, &mut held, last).await;
            if !moved.map_err(unreachable)? {
                break;
            }
        }
        Ok(Some(held))
    }

    async fn recall(&self, remote: &str, held: &mut Held) -> Result<(), String> {
        let folder = folder_of(remote);
        let list = [
            "for-each-ref",
            "--format=%(objectname)\t%(refname)",
            &folder,
        ];
        for (name, object) in listed(&self.git(&list, b"").await?) {
            match name.rsplit('/').next().unwrap_or_default() {
                "main" => held.pushed_main = Some(object),
                day => {
                    let text = self.git(&["cat-file", "blob", &object], b"").await;
                    let anchor = text.ok().and_then(|text| serde_json::from_str(&text).ok());
                    let anchor = anchor.map(|anchor| (day.to_owned(), anchor));
                    held.pushed_anchors.extend(anchor);
                }
            }
        }
        Ok(())
    }

    /// Reads what is there; whether it moved on meanwhile, so that it is to be read again.
    async fn look_there(
        &self,
        remote: &str,
        held: &mut Held,
        is_last: bool,
    ) -> Result<bool, String> {
        let all = format!("{ANCHORS}/*");
        let list = ["ls-remote", "--", remote, MAIN, &all];
        let mut there = listed(&self.git(&list, b"").await?);
        held.main = there.remove(MAIN);
        there.retain(|name, _| name.starts_with(ANCHORS));
        held.anchors.clear();
        held.forged.clear();
        held.lost = None;
        let apart = tempfile::Builder::new().prefix("chiffon-remote-").tempdir();
        let apart = apart.map_err(|error| format!("no folder for what it holds: {error}"))?;
        let apart = apart.path();
        self.git_apart(apart, &["init", "--quiet", "--bare"])
            .await?;
        if let Some(main) = &held.main {
            match self.fetch_apart(apart, remote, MAIN, main).await {
                Ok(true) => {}
                Ok(false) | Err(_) if !is_last => return Ok(true),
                Ok(false) => held.lost = Some(format!("{main} is not what came of it")),
                Err(why) => held.lost = Some(why),
            }
        }
        for (name, object) in &there {
            let day = name.strip_prefix(ANCHORS).unwrap_or(name);
            let day = day.trim_start_matches('/').to_owned();
            let text = match self.fetch_apart(apart, remote, name, object).await {
                Ok(_) => self.git_apart(apart, &["cat-file", "blob", object]).await,
                Err(why) => Err(why),
            };
            let text = match text {
                Ok(text) => text,
                Err(_) if !is_last => return Ok(true),
                Err(why) => {
                    held.forged.insert(day, not_ours(name, &why));
                    continue;
                }
            };
            let why = match serde_json::from_str::<AuditAnchor>(&text) {
                Ok(anchor) if anchor.at.strftime("%Y-%m-%d").to_string() == day => {
                    held.anchors.insert(day, anchor);
                    continue;
                }
                Ok(anchor) => format!("it is of {}", anchor.at),
                Err(error) => error.to_string(),
            };
            held.forged.insert(day, not_ours(name, &why));
        }
        Ok(false)
    }

    /// Fetches what a reference there leads to, whole; whether that is what was listed.
    async fn fetch_apart(
        &self,
        apart: &Path,
        remote: &str,
        name: &str,
        object: &str,
    ) -> Result<bool, String> {
        let both = format!("+{name}:{name}");
        let fetch = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            remote,
            &both,
        ];
        self.git_apart(apart, &fetch).await?;
        let got = self.git_apart(apart, &["rev-parse", name]).await?;
        Ok(got.trim() == object)
    }
}

impl Held {
    /// The commits that must be among ours.
    pub(super) fn commits(&self) -> impl Iterator<Item = &str> {
        self.main.as_deref().into_iter().chain(self.pushed())
    }

    /// The commits that `main` there was at.
    fn pushed(&self) -> impl Iterator<Item = &str> {
        let anchors = self.anchors.values().chain(self.pushed_anchors.values());
        let anchored = anchors.filter_map(|anchor| anchor.ledger_commit.as_deref());
        anchored.chain(self.pushed_main.as_deref())
    }

    /// What is missing there, moved back or forged, in words; by the number of each commit in our line.
    pub(super) fn faults(&self, places: &BTreeMap<String, u64>) -> Vec<String> {
        let mut faults: Vec<String> = self.forged.values().cloned().collect();
        faults.extend(self.lost.as_ref().map(|why| {
            visible(&format!(
                "the history of its main cannot be had from it ({why}): it has lost what was pushed there; keep it for inspection, \
                 and push to another, empty one (ledger.remote)"
            ))
        }));
        faults.extend(self.fault_of_main(places));
        for (day, pushed) in &self.pushed_anchors {
            let name = format!("{ANCHORS}/{day}");
            match self.anchors.get(day) {
                None if self.forged.contains_key(day) => {}
                None => faults.push(format!(
                    "the anchor {name} was pushed there and is gone: {RESTORE}"
                )),
                Some(there) if there.seal_no < pushed.seal_no => faults.push(format!(
                    "the anchor {name} is at seal {}, and seal {} was pushed there: {RESTORE}",
                    there.seal_no, pushed.seal_no
                )),
                Some(there) if is_taken_back(there, pushed, places) => faults.push(format!(
                    "the anchor {name} is not the one that was pushed there, and tells of less: {RESTORE}"
                )),
                Some(_) => {}
            }
        }
        let has_none = self.anchors.is_empty() && self.forged.is_empty();
        if has_none && self.pushed_anchors.is_empty() && self.head.is_some() {
            faults.push(format!("it holds no anchor: {NEVER}"));
        }
        faults
    }

    fn fault_of_main(&self, places: &BTreeMap<String, u64>) -> Option<String> {
        let place = |commit: &str| places.get(commit).copied();
        let furthest = self.pushed().max_by_key(|commit| place(commit));
        let ours = self
            .head
            .as_ref()
            .and_then(|head| head.ledger_commit.as_ref());
        match (&self.main, furthest) {
            (None, Some(pushed)) => Some(format!(
                "it holds no main, and {pushed} was pushed there: {RESTORE}"
            )),
            (None, None) => ours.map(|_| format!("it holds no main: {NEVER}")),
            (Some(main), Some(pushed)) if place(main)? < place(pushed)? => Some(format!(
                "its main is at {main}, and {pushed}, which comes later, was pushed there: {RESTORE}"
            )),
            // One that is none of ours is told as missing here.
            (Some(_), _) => None,
        }
    }
}

/// Whether the one that lies there is of the same seal and yet of an earlier moment. A later one may have been pushed right
/// before a crash.
fn is_taken_back(
    there: &AuditAnchor,
    pushed: &AuditAnchor,
    places: &BTreeMap<String, u64>,
) -> bool {
    let place = |anchor: &AuditAnchor| places.get(anchor.ledger_commit.as_ref()?).copied();
    there.seal_no == pushed.seal_no && (there.at < pushed.at || place(there) < place(pushed))
}

const RESTORE: &str = "somebody took it back; keep the remote as it is for inspection, and let it refuse deletions and forced pushes";
const NEVER: &str = "nothing was pushed there yet, or somebody emptied it; see `chiffon doctor`, or let `chiffon up` run for a minute";

fn folder_of(remote: &str) -> String {
    let key = Digest::of_bytes(remote.as_bytes()).hex();
    format!("{PUSHED}/{}", key.get(..16).unwrap_or(&key))
}

/// Names and objects, of lines with an object, a tab and a name.
fn listed(lines: &str) -> BTreeMap<String, String> {
    let pairs = lines.lines().filter_map(|line| line.split_once('\t'));
    pairs
        .map(|(object, name)| (name.to_owned(), object.to_owned()))
        .collect()
}

fn not_ours(name: &str, why: &str) -> String {
    visible(&format!(
        "the anchor {name} is none that Chiffon pushed: {why}; keep it for inspection"
    ))
}
