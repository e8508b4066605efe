//! Bundles on their way to an attempt: asked for, put together from pieces within bounds, read.
//! Checking digests and keeping files is left to the cache.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use chiffon_common::{AttemptRef, BundlePiece, Digest, ErrorCode, Problem, ResultStatus};

use super::{Core, Effect, Loaded, Moment, Plan, Record, Said, Stored, attempt::Stage};

/// Most bytes of all unfinished bundles together.
pub(crate) const MAX_BUNDLE_BYTES: usize = 64 * 1024 * 1024;
/// Most pieces of one bundle: its most bytes in pieces of half the usual size.
const MAX_PIECES: u32 = 256;
/// How often a wrong or vanished bundle is asked for again before its attempt is refused.
const MAX_ASKED_AGAIN: u8 = 3;

/// Pieces that have come, by bundle.
#[derive(Debug, Default)]
pub(super) struct Assemblies(BTreeMap<Digest, Assembly>);

#[derive(Debug)]
struct Assembly {
    pieces: u32,
    parts: BTreeMap<u32, Vec<u8>>,
}

impl Assembly {
    fn size(&self) -> usize {
        self.parts.values().map(Vec::len).sum()
    }
}

impl Assemblies {
    /// Takes a piece; the whole once it is complete. An error says why the piece is malformed.
    fn take(&mut self, piece: &BundlePiece) -> Result<Option<Vec<u8>>, String> {
        if piece.pieces == 0 || piece.pieces > MAX_PIECES || piece.piece >= piece.pieces {
            return Err(format!(
                "piece {} of {} is not permitted",
                piece.piece, piece.pieces
            ));
        }
        let data = BASE64_STANDARD
            .decode(&piece.data)
            .map_err(|error| format!("piece is no base64: {error}"))?;
        let held: usize = self.0.values().map(Assembly::size).sum();
        if held + data.len() > MAX_BUNDLE_BYTES {
            self.0.remove(&piece.digest);
            return Err(format!(
                "bundle is larger than {MAX_BUNDLE_BYTES} bytes, or too many come at once"
            ));
        }
        let fresh = Assembly {
            pieces: piece.pieces,
            parts: BTreeMap::new(),
        };
        let assembly = self.0.entry(piece.digest).or_insert(fresh);
        if assembly.pieces != piece.pieces {
            // Cut another way: the sender has begun anew.
            *assembly = Assembly {
                pieces: piece.pieces,
                parts: BTreeMap::new(),
            };
        }
        assembly.parts.insert(piece.piece, data);
        if assembly.parts.len() < piece.pieces as usize {
            return Ok(None);
        }
        let whole = self.0.remove(&piece.digest);
        Ok(whole.map(|whole| whole.parts.into_values().flatten().collect()))
    }

    fn retain(&mut self, is_wanted: impl Fn(&Digest) -> bool) {
        self.0.retain(|digest, _| is_wanted(digest));
    }
}

impl Core {
    pub(super) fn piece_came(
        &mut self,
        piece: &BundlePiece,
        at: Moment,
        plan: &mut Plan,
    ) -> Result<(), String> {
        let wanting: Vec<AttemptRef> = self
            .open()
            .filter(|(_, open)| open.request.bundle == piece.digest)
            .filter(|(_, open)| matches!(open.stage, Stage::NeedsBundle { .. }))
            .map(|(key, _)| key)
            .collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let whole = self.assemblies.take(piece)?;
        for attempt in &wanting {
            if let Some(open) = self.open_mut(*attempt) {
                open.stage = match whole {
                    Some(_) => Stage::Looking,
                    None => Stage::NeedsBundle { asked: at.boot },
                };
            }
        }
        if let Some(bytes) = whole {
            plan.effect(Effect::StoreBundle {
                digest: piece.digest,
                bytes,
            });
        }
        Ok(())
    }

    fn looking_for(&self, digest: Digest) -> Vec<AttemptRef> {
        self.open()
            .filter(|(_, open)| {
                open.request.bundle == digest && matches!(open.stage, Stage::Looking)
            })
            .map(|(key, _)| key)
            .collect()
    }

    pub(super) fn bundle_looked(
        &mut self,
        digest: Digest,
        found: bool,
        at: Moment,
        plan: &mut Plan,
    ) {
        for attempt in self.looking_for(digest) {
            if found {
                self.stand_in_line(attempt);
            } else {
                self.ask_for_bundle(attempt, at, plan);
            }
        }
    }

    fn stand_in_line(&mut self, attempt: AttemptRef) {
        if let Some(open) = self.open_mut(attempt) {
            open.stage = Stage::Waiting;
            self.waiting.push_back(attempt);
        }
    }

    pub(super) fn bundle_stored(
        &mut self,
        digest: Digest,
        stored: Stored,
        at: Moment,
        plan: &mut Plan,
    ) {
        for attempt in self.looking_for(digest) {
            match stored {
                Stored::Kept => self.stand_in_line(attempt),
                Stored::Wrong => self.ask_again(attempt, at, plan),
                Stored::Unwritable => {
                    let problem = Problem::new(
                        ErrorCode::AgentFault,
                        "the bundle could not be written to the agent's disk",
                        "free space on the agent's disk, then try again",
                    );
                    self.close_bare(attempt, ResultStatus::Refused, problem, at, plan);
                }
            }
        }
        let wanted: Vec<Digest> = self.open().map(|(_, open)| open.request.bundle).collect();
        self.assemblies.retain(|digest| wanted.contains(digest));
    }

    fn ask_again(&mut self, attempt: AttemptRef, at: Moment, plan: &mut Plan) {
        let Some(open) = self.open_mut(attempt) else {
            return;
        };
        open.asked_again += 1;
        if open.asked_again < MAX_ASKED_AGAIN {
            return self.ask_for_bundle(attempt, at, plan);
        }
        let problem = Problem::new(
            ErrorCode::ContentChanged,
            format!(
                "bundle {} came {MAX_ASKED_AGAIN} times and was not what its digest names",
                open.request.bundle.short()
            ),
            "nothing was run; ask for a new plan",
        );
        self.close_bare(attempt, ResultStatus::Refused, problem, at, plan);
    }

    /// The last step before a start: the time is looked at once more, then the start is journaled, and
    /// only then, as an effect, the worker begins.
    pub(super) fn bundle_loaded(
        &mut self,
        attempt: AttemptRef,
        loaded: Loaded,
        at: Moment,
        plan: &mut Plan,
    ) {
        let now = self.clocks.latest(at);
        let draining = self.draining;
        let Some(open) = self.open_mut(attempt) else {
            return;
        };
        if !matches!(open.stage, Stage::Loading) {
            return;
        }
        if now > open.request.not_after {
            return self.expire(attempt, at, plan);
        }
        let bundle = match loaded {
            Loaded::Whole(bundle) => bundle,
            Loaded::Missing => return self.ask_again(attempt, at, plan),
        };
        if draining {
            return self.stand_in_line(attempt);
        }
        let limit = std::time::Duration::from_secs(open.request.timeout_seconds);
        open.stage = Stage::Running {
            deadline: at.boot.saturating_add(limit),
            stopping: None,
        };
        let request = open.request.clone();
        plan.record(Record::Started { attempt });
        plan.effect(Effect::Start { request, bundle });
        self.say(attempt, Said::message("running"), plan);
    }
}
