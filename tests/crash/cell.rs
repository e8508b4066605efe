//! One crash cell from beginning to end: a fleet under load, faults, healing, draining, and everything that the
//! checker is given. Which faults, is left to the cells.

use std::{
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::task::{JoinHandle, JoinSet};

use super::{
    calls::Calls,
    check::{self, Demands, Evidence, Said, Verdict},
    history::{End, History, now},
    load::{Load, Parts},
    program::{DiedEarly, Measure, Program, Surroundings, command},
    reader::{self, Reader},
    yard::{ENTRIES, Yard},
};

/// Longest wait for a harness task that was told to stop: one long poll and its answer.
const STOPPING: Duration = Duration::from_secs(90);

/// How a fault is called that came before the program could be asked.
pub const EARLY: &str = "while starting: ";

/// A cell at work.
pub struct Cell {
    pub name: String,
    pub seed: u64,
    pub yard: Yard,
    pub history: Arc<History>,
    pub calls: Calls,
    pub load: Load,
    pub program: Option<Program>,
    parts: JoinSet<()>,
    reader: JoinHandle<()>,
    reader_stop: Arc<AtomicBool>,
    lives: usize,
    baseline: Option<Measure>,
    /// Whether somebody damaged the ledger, which is told once.
    pub rotted: bool,
}

impl Cell {
    /// A data folder, a first life of the program, and its measure at rest.
    pub async fn begin(name: &str, seed: u64, with: &Surroundings) -> Self {
        println!("{name}: CHIFFON_SEED={seed}");
        let yard = Yard::new();
        let history = Arc::new(History::create(&yard.history()));
        let calls = Calls::new(Arc::clone(&history));
        let reader_stop = Arc::new(AtomicBool::new(false));
        let reader = Reader::new(calls.clone(), &yard.stream(), Arc::clone(&reader_stop));
        let load = Load::new(calls.clone(), yard.effects(), seed);
        let mut cell = Self {
            name: name.to_owned(),
            seed,
            history,
            calls,
            load,
            program: None,
            parts: JoinSet::new(),
            reader: tokio::spawn(reader.run()),
            reader_stop,
            lives: 0,
            baseline: None,
            rotted: false,
            yard,
        };
        cell.start(with).await.expect("the first life starts");
        cell
    }

    /// The next life. Every life has an entry that no agent holds the bundle of.
    ///
    /// # Errors
    /// That it ended before it was ready.
    pub async fn start(&mut self, with: &Surroundings) -> Result<(), DiedEarly> {
        self.lives += 1;
        let fresh = format!("bundle_{}", self.lives);
        self.yard.entry(&fresh, "ask", Some("0"));
        let program = Program::start(&self.yard, with, self.lives).await?;
        self.load.offer(fresh);
        self.calls.aim(Some(program.target.clone()));
        self.program = Some(program);
        Ok(())
    }

    /// Begins the load, after one of each kind went through: what is measured then is what a fleet at rest needs.
    pub async fn begin_load(&mut self, parts: Parts) {
        self.baseline = Some(self.measure_at_rest().await);
        self.parts = self.load.start(parts);
    }

    async fn measure_at_rest(&self) -> Measure {
        // Idle connections of the load are closed by the server after thirty seconds, at most.
        let program = self.program.as_ref().expect("a life");
        let mut last = program.measure();
        for _look in 0..3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            last = program.measure();
        }
        last
    }

    /// Waits until so many operations more have ended well, or `patience` is over.
    pub async fn until_ok(&self, more: usize, patience: Duration) {
        let (begin, until) = (self.history.count(End::Ok), Instant::now() + patience);
        while self.history.count(End::Ok) < begin + more && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// As the out-of-memory killer would, at a moment of the load.
    pub fn kill(&mut self) -> u64 {
        let at = now();
        let mut program = self.program.take().expect("a life");
        self.calls.aim(None);
        program.kill();
        self.history.fault("SIGKILL", at, true)
    }

    /// Waits for a death that was prepared, and notes it; nothing if it did not come.
    pub async fn wait_for_death(&mut self, what: &str, patience: Duration) -> Option<ExitStatus> {
        let status = self
            .program
            .as_mut()
            .expect("a life")
            .wait(patience)
            .await?;
        let at = now();
        self.calls.aim(None);
        self.program = None;
        self.history.fault(what, at, true);
        Some(status)
    }

    /// It died before anybody could ask it anything: it met nothing but those who waited.
    pub fn died_early(&mut self, what: &str) {
        self.history.fault(&format!("{EARLY}{what}"), now(), true);
    }

    /// How many lives there were.
    pub fn lives(&self) -> usize {
        self.lives
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(&mut self, patience: Duration) -> Option<ExitStatus> {
        let at = now();
        let program = self.program.as_mut().expect("a life");
        program.signal(Signal::TERM);
        self.history.fault("SIGTERM", at, true);
        let ended = program.wait(patience).await;
        self.calls.aim(None);
        self.program = None;
        ended
    }

    /// How the lines of the event stream ended so far, and what came in between is left out.
    pub fn ends_of_streams(&self) -> Vec<String> {
        let told = reader::read(&self.yard.stream());
        let ends = told
            .into_iter()
            .map(|told| told.what)
            .filter(|what| what == "ended" || what == "cut");
        ends.collect()
    }

    /// Ends the load, answers what is open, stops the program, and has everything checked.
    pub async fn finish(mut self, with: &Surroundings, demands: Demands) -> Verdict {
        let evidence = self.evidence(with).await;
        let entries = ENTRIES.map(|entry| (entry.id, entry.on_interrupt));
        let verdict = check::judge(&evidence, demands, &entries);
        println!(
            "{}, CHIFFON_SEED={}\n{}",
            self.name, self.seed, verdict.report
        );
        if !verdict.violations.is_empty() {
            self.keep();
        }
        verdict
    }

    /// The same without the judgement.
    pub async fn evidence(&mut self, with: &Surroundings) -> Evidence {
        if self.program.is_none() {
            self.start(with).await.expect("the last life starts");
        }
        self.load.stop();
        let parts = &mut self.parts;
        let stopping = async {
            while let Some(ended) = parts.join_next().await {
                ended.expect("a part of the load ends well");
            }
        };
        tokio::time::timeout(STOPPING, stopping)
            .await
            .expect("the load stops");
        let database = self.yard.home.path().join("chiffon.db");
        let open = self.load.drain(self.seed, &database).await;
        let told_otherwise = self.load.replay().await;
        self.reader_stop.store(true, Ordering::Relaxed);
        let reading = tokio::time::timeout(STOPPING, &mut self.reader).await;
        reading.expect("the reader stops").expect("it reads");
        let healed = self.measure_healed().await;
        let program = self.program.as_mut().expect("a life");
        program.signal(Signal::TERM);
        let ended = program.wait(Duration::from_secs(120)).await;
        self.program = None;
        let misread = std::fs::read_to_string(self.yard.misread()).unwrap_or_default();
        assert_eq!(misread, "", "no playbook was found in these command lines");
        let verify = ["audit", "verify"];
        let verify = || command(&self.yard, &Surroundings::default(), &verify).output();
        let mut verified = verify().unwrap();
        if self.rotted {
            let told = String::from_utf8_lossy(&verified.stdout);
            assert!(told.contains("was put back from the database"), "{told}");
            verified = verify().unwrap();
        }
        let said = Said {
            open,
            told_otherwise,
            baseline: self.baseline,
            healed: Some(healed),
            last_exit: ended.and_then(|status| status.code()),
            verified: verified.status.code(),
            verify_text: [verified.stdout, verified.stderr]
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .concat(),
        };
        Evidence::gather(&self.yard, said)
    }

    /// A fleet at rest again; what it needs may fall for a while.
    async fn measure_healed(&self) -> Measure {
        let mut last = self.measure_at_rest().await;
        let Some(before) = self.baseline else {
            return last;
        };
        for _look in 0..100 {
            if check::is_near(before, last) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            last = self.measure_at_rest().await;
        }
        last
    }

    /// Leaves a copy of everything for whoever looks for the cause.
    pub fn keep(&self) {
        let kept = chiffon_tests::repository_root()
            .join(format!("target/crash/{}-{}", self.name, self.seed));
        let _older = std::fs::remove_dir_all(&kept);
        std::fs::create_dir_all(&kept).unwrap();
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .arg(self.yard.home.scratch().join("."))
            .arg(&kept)
            .status();
        println!(
            "everything of this cell is kept in {} ({copied:?})",
            kept.display()
        );
    }
}

/// A short cell for a known mistake: some load, two kills, and what the checker says of it.
pub async fn short(name: &str, seed: u64, with: &Surroundings) -> Verdict {
    let mut cell = Cell::begin(name, seed, with).await;
    cell.begin_load(Parts::CHEAP).await;
    for _life in 0..2 {
        cell.until_ok(80, Duration::from_secs(30)).await;
        cell.kill();
        cell.start(with).await.expect("it starts again");
    }
    cell.until_ok(80, Duration::from_secs(30)).await;
    cell.finish(with, Demands::SHORT).await
}
