//! Holding the audit chain against itself (S66, S69), through the contract alone. What was cut off at
//! the very end together with its seals is only found by an anchor: a seal noted elsewhere (S67).

use std::collections::{BTreeMap, VecDeque};

use chiffon_common::{AuditEntry, AuditRecord, Digest, GENESIS};

use crate::{AuditSeal, Error, NumberedAudit, Store};

/// Rows read at once.
const PAGE: u32 = 500;
/// The states of a request in which its tasks are given to agents: check runs in the first, real ones in the second.
const STARTS_IN: [&str; 2] = ["previewing", "running"];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// Streams that they belong to.
    pub streams: u64,
    /// Seals read.
    pub seals: u64,
    /// The last seal, to be noted elsewhere as an anchor.
    pub head: Option<AuditSeal>,
    /// What the last record of each stream says of the rows of its request, or of its schedule.
    pub slices: BTreeMap<String, SliceHead>,
    /// What is wrong, in the order in which it was found; empty if nothing is.
    pub faults: Vec<Fault>,
}

impl Report {
    /// The lowest number at which something is wrong.
    pub fn first_bad_seq(&self) -> Option<u64> {
        self.faults.iter().map(|fault| fault.seq).min()
    }
}

/// What a record says of the rows of its request, or of its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceHead {
    /// The number of the record.
    pub seq: u64,
    /// The digest over the rows as its transaction left them.
    pub digest: Digest,
    /// The digest over what was said of what had ended, where the record holds one.
    pub endings: Option<Digest>,
}

impl SliceHead {
    /// What stands of the rows after this record, and what is wrong if it did not find them as the one before it left
    /// them: an edit in between shows here for ever, whatever the rows have become since. A record that found rows and
    /// tells of none has ended what it was about.
    pub fn after(
        left: Option<Self>,
        seq: u64,
        entry: &AuditEntry,
    ) -> (Option<Self>, Option<String>) {
        let edited = |left: Self| {
            let of = entry.stream.replacen(':', " ", 1);
            let last = left.seq;
            format!("the rows of {of} were edited between record {last} and record {seq}")
        };
        let fault = left
            .filter(|left| entry.slice_before.is_some_and(|found| found != left.digest))
            .map(edited);
        let leaves = match (entry.slice, entry.slice_before) {
            (Some(digest), _) => Some(Self {
                seq,
                digest,
                endings: entry.endings,
            }),
            (None, Some(_)) => None,
            (None, None) => left,
        };
        (leaves, fault)
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number of the record at which it shows; for a seal, its first.
    pub seq: u64,
    /// What, in words.
    pub what: String,
}

/// Walks over all numbered records and all seals.
///
/// # Errors
/// Only where the store cannot be read; what is wrong in the chain stands in the report.
pub async fn verify_audit(store: &dyn Store) -> Result<Report, Error> {
    verify_audit_against(store, &[]).await
}

/// The same, and each anchor (a seal noted elsewhere) must be among the seals, unchanged.
///
/// # Errors
/// As [`verify_audit`].
pub async fn verify_audit_against(
    store: &dyn Store,
    anchors: &[AuditSeal],
) -> Result<Report, Error> {
    verify_audit_reading(store, anchors, &mut |_, _| {}).await
}

/// The same, and each record is shown to whoever wants to know more of it, with its number and in the order of these.
///
/// # Errors
/// As [`verify_audit`].
pub async fn verify_audit_reading(
    store: &dyn Store,
    anchors: &[AuditSeal],
    read: &mut (dyn FnMut(u64, &AuditRecord) + Send),
) -> Result<Report, Error> {
    let mut walk = Walk::new(anchors);
    let mut seals = Seals::default();
    loop {
        let page = next_page(store, &mut walk).await?;
        if page.is_empty() {
            // Seals read after the last record may be newer than it, because commits go on meanwhile:
            // then their records are there when asked for again, unless they were cut off.
            match seals.next(store).await? {
                Some(seal) => walk.seal(seal),
                None => return Ok(walk.end()),
            }
        }
        for numbered in page {
            while walk.sealed_up_to < numbered.seq {
                let Some(seal) = seals.next(store).await? else {
                    break;
                };
                walk.seal(seal);
            }
            read(numbered.seq, &numbered.record);
            walk.record(numbered);
        }
    }
}

/// A page of records; around one that cannot be read, which is noted.
async fn next_page(store: &dyn Store, walk: &mut Walk<'_>) -> Result<Vec<NumberedAudit>, Error> {
    match store.audit_after(walk.after, PAGE).await {
        Err(Error::Corrupt(_)) => {}
        other => return other,
    }
    // One by one up to the unreadable one, then past it.
    loop {
        match store.audit_after(walk.after, 1).await {
            Err(Error::Corrupt(why)) => {
                walk.after += 1;
                walk.unreadable(why);
            }
            other => return other,
        }
    }
}

/// The seals, page by page.
#[derive(Default)]
struct Seals {
    waiting: VecDeque<AuditSeal>,
    after: u64,
}

impl Seals {
    async fn next(&mut self, store: &dyn Store) -> Result<Option<AuditSeal>, Error> {
        if self.waiting.is_empty() {
            self.waiting = store.seals_after(self.after, PAGE).await?.into();
        }
        let next = self.waiting.pop_front();
        self.after = next.as_ref().map_or(self.after, |seal| seal.seal_no);
        Ok(next)
    }
}

/// Where the walk stands.
struct Walk<'a> {
    report: Report,
    /// The number before the next record.
    after: u64,
    /// Position and hash of each stream's last record.
    heads: BTreeMap<String, (u64, String)>,
    /// The last number under a seal.
    sealed_up_to: u64,
    /// Seals whose records are not all read yet, with the hashes read so far.
    open: VecDeque<(AuditSeal, Vec<String>)>,
    /// All that were noted of each seal: whoever notes a foreign one beside the true one takes nothing away.
    anchors: BTreeMap<u64, Vec<&'a AuditSeal>>,
    last_seal: Option<AuditSeal>,
    /// What the records of each request say that it, its tasks and its decisions are.
    told: BTreeMap<String, Told>,
}

/// Subject (kind and id) to the last state that a record gave it.
type Told = BTreeMap<(String, String), String>;

impl<'a> Walk<'a> {
    fn new(noted: &'a [AuditSeal]) -> Self {
        let mut anchors: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for seal in noted {
            anchors.entry(seal.seal_no).or_default().push(seal);
        }
        Self {
            report: Report::default(),
            after: 0,
            heads: BTreeMap::new(),
            sealed_up_to: 0,
            open: VecDeque::new(),
            anchors,
            last_seal: None,
            told: BTreeMap::new(),
        }
    }

    fn fault(&mut self, seq: u64, what: impl Into<String>) {
        let what = what.into();
        self.report.faults.push(Fault { seq, what });
    }

    fn unreadable(&mut self, why: String) {
        // Behind a hole it takes several steps to get past it.
        if self
            .report
            .faults
            .last()
            .is_none_or(|last| last.what != why)
        {
            self.fault(self.after, why);
        }
    }

    fn record(&mut self, numbered: NumberedAudit) {
        let NumberedAudit { seq, record } = numbered;
        if seq != self.after + 1 {
            let (first, last) = (self.after + 1, seq - 1);
            self.fault(first, format!("records {first} to {last} are missing"));
        }
        self.after = seq;
        self.report.records += 1;
        if !record.is_intact() {
            self.fault(
                seq,
                format!("record {seq} was changed: its hash does not fit"),
            );
        }
        let stream = &record.entry.stream;
        let head = self.heads.get(stream);
        let position = head.map_or(0, |(position, _)| position + 1);
        let previous = head.map_or(GENESIS, |(_, hash)| hash.as_str());
        if record.position != position || record.previous != previous {
            let text = format!(
                "record {seq} does not follow its predecessor in stream {stream} \
                 (position {}, expected {position})",
                record.position
            );
            self.fault(seq, text);
        }
        self.cover(seq, &record.hash);
        self.follow(seq, &record);
        self.join(seq, &record.entry);
        // Rows that went with age are missing by right, and this very record is what says so.
        for request in record.entry.forgotten_requests() {
            self.report.slices.remove(&format!("request:{request}"));
        }
        let head = (record.position, record.hash);
        self.heads.insert(record.entry.stream, head);
    }

    /// Holds the rows that a record found against those that the one before it left.
    fn join(&mut self, seq: u64, entry: &AuditEntry) {
        let stream = &entry.stream;
        let left = self.report.slices.get(stream).copied();
        let (leaves, fault) = SliceHead::after(left, seq, entry);
        if let Some(what) = fault {
            self.fault(seq, what);
        }
        match leaves {
            Some(leaves) => self.report.slices.insert(stream.clone(), leaves),
            None => self.report.slices.remove(stream),
        };
    }

    /// Holds the moves of a request against those before them: each begins where the last one ended, and a task
    /// goes to an agent only while its request previews or runs. Rows that were edited in between moved without
    /// a record, and show by the gap, though every later record fits the edited rows.
    fn follow(&mut self, seq: u64, record: &AuditRecord) {
        let entry = &record.entry;
        let is_first = record.position == 0 && entry.slice.is_some();
        if is_first && entry.stream.starts_with("request:") {
            self.told.entry(entry.stream.clone()).or_default();
        }
        // A chain of before says nothing of its rows, so there is nothing to hold against it.
        let Some(told) = self.told.get_mut(&entry.stream) else {
            return;
        };
        let mut gaps = Vec::new();
        for moved in &entry.moves {
            let (kind, to) = (&moved.subject.kind, &moved.to);
            let subject = (kind.clone(), moved.subject.id.clone());
            let before = told.insert(subject, to.clone());
            if before != moved.from {
                let name = |state: &Option<String>| state.clone().unwrap_or("not there".to_owned());
                gaps.push(format!(
                    "{} of a {kind} that was {} by the record before and is said to have been {}",
                    if to == "dispatched" {
                        "a start"
                    } else {
                        "a move"
                    },
                    name(&before),
                    name(&moved.from)
                ));
            }
            let mut states = told.iter();
            let request = states.find(|((kind, _), _)| kind == "request");
            let request = request.map_or("not there", |(_, state)| state.as_str());
            if kind == "task" && to == "dispatched" && !STARTS_IN.contains(&request) {
                gaps.push(format!(
                    "a task was given to an agent while the request was {request}"
                ));
            }
        }
        for gap in gaps {
            let what = format!(
                "record {seq} of {}: {gap}; rows were changed without a record",
                entry.stream
            );
            self.fault(seq, what);
        }
    }

    /// Puts a record under its seal.
    fn cover(&mut self, seq: u64, hash: &str) {
        while self
            .open
            .front()
            .is_some_and(|(seal, _)| seal.last_seq < seq)
        {
            self.close_first();
        }
        match self.open.front_mut() {
            Some((seal, hashes)) if seal.first_seq <= seq => hashes.push(hash.to_owned()),
            _ => self.fault(seq, format!("record {seq} is under no seal")),
        }
    }

    fn seal(&mut self, seal: AuditSeal) {
        self.report.seals += 1;
        let (number, first) = (seal.seal_no, seal.first_seq);
        if !seal.is_intact() {
            self.fault(
                first,
                format!("seal {number} was changed: its hash does not fit"),
            );
        }
        let before = self.last_seal.as_ref();
        let expected = before.map_or(1, |one| one.seal_no + 1);
        let previous = before.map_or(GENESIS, |one| &one.hash);
        if number != expected || seal.previous != previous {
            let text =
                format!("seal {number} does not follow its predecessor (expected {expected})");
            self.fault(first, text);
        }
        if first != self.sealed_up_to + 1 {
            let text = format!(
                "seal {number} begins at {first}, not at {}",
                self.sealed_up_to + 1
            );
            self.fault(first.min(self.sealed_up_to + 1), text);
        }
        let anchored = self.anchors.remove(&number).unwrap_or_default();
        if anchored.iter().any(|anchor| **anchor != seal) {
            self.fault(
                first,
                format!("seal {number} is not the one that was anchored"),
            );
        }
        self.sealed_up_to = seal.last_seq.max(self.sealed_up_to);
        self.last_seal = Some(seal.clone());
        self.open.push_back((seal, Vec::new()));
    }

    /// Holds the oldest seal against the records read under it.
    fn close_first(&mut self) {
        let Some((seal, hashes)) = self.open.pop_front() else {
            return;
        };
        let (number, first, last) = (seal.seal_no, seal.first_seq, seal.last_seq);
        let expected = (last + 1).saturating_sub(first);
        if hashes.len() as u64 != expected {
            let text = format!(
                "seal {number} is over records {first} to {last}, of which {} are there",
                hashes.len()
            );
            self.fault(first, text);
        } else if seal.root != AuditSeal::root_of(&hashes) {
            let text = format!("seal {number} does not fit the records {first} to {last}");
            self.fault(first, text);
        }
    }

    fn end(mut self) -> Report {
        while !self.open.is_empty() {
            self.close_first();
        }
        for (number, anchors) in std::mem::take(&mut self.anchors) {
            let first = anchors.iter().map(|anchor| anchor.first_seq).min();
            let text = format!("anchored seal {number} is missing");
            self.fault(first.unwrap_or_default(), text);
        }
        self.report.streams = self.heads.len() as u64;
        self.report.head = self.last_seal;
        self.report
    }
}
