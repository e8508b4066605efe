//! Counting hits and doing what was ordered. What was ordered is left to `variables`.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use rustix::process::{Signal, getpid, kill_process};

use crate::variables::{Action, VARIABLES, orders};

static HITS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Called by [`hit!`](crate::hit) at its place. Comes back with "no space left on device" where the step was
/// ordered to fail.
pub fn reached(name: &'static str) -> io::Result<()> {
    let orders = match orders() {
        Ok(orders) => orders,
        Err(why) => {
            // Whoever did not ask `arm` first must not run on as if nothing had been ordered.
            eprintln!("{why}");
            die()
        }
    };
    let Some(order) = orders.get(name) else {
        return Ok(());
    };
    let hit = {
        let mut hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = hits.entry(name).or_default();
        *hit += 1;
        *hit
    };
    if !order.is_for(hit) {
        return Ok(());
    }
    tell(name);
    match order.action {
        Action::Note => Ok(()),
        Action::Error => Err(io::Error::from(rustix::io::Errno::NOSPC)),
        Action::Panic => panic!("the failpoint {name} was told to panic"),
        Action::Stop => signal(Signal::STOP),
        Action::Kill => die(),
    }
}

/// The signal takes this thread on its way back from the call.
fn die() -> ! {
    loop {
        if let Err(error) = signal(Signal::KILL) {
            eprintln!("the failpoint cannot kill its process: {error}");
        }
    }
}

fn signal(signal: Signal) -> io::Result<()> {
    Ok(kill_process(getpid(), signal)?)
}

/// No sync: the file outlives the process, not the machine.
fn tell(name: &str) {
    let Some(path) = env::var_os(VARIABLES[1]) else {
        return;
    };
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    // One write, so that lines of several processes do not mix.
    let told = file.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
    if let Err(error) = told {
        eprintln!("{}: {error}", VARIABLES[1]);
    }
}
