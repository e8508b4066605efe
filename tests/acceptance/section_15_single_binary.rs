//! Section 15: one executable, started by `arbiter serve`, without any other component.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use chiffon_tests::{Chiffon, Home};
use tokio::task::spawn_blocking;

use crate::target::Target;

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The file alone, in an empty folder and an empty environment, without a configuration: it serves.
#[tokio::test]
async fn the_executable_alone_serves() {
    if Target::own("the single binary", "").await.is_none() {
        return;
    }
    let served = spawn_blocking(|| {
        let home = Home::new();
        let usual = Chiffon::arbiter(&home).command(&[]);
        let alone = home.scratch().join("arbiter");
        // By another process: a test that starts a program at this moment would hand a file that is written here on to
        // it, and nobody can start one that somebody still has open for writing.
        let mut copy = Command::new("cp");
        let copied = copy.arg(usual.get_program()).arg(&alone).status();
        assert!(
            copied.expect("cp starts").success(),
            "one file is all of it"
        );
        let folder = home.scratch().join("empty");
        fs::create_dir(&folder).expect("a folder can be made");
        let child = Command::new(&alone)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env_clear()
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = Ended(child.expect("it starts"));
        let output = child.0.stdout.take().expect("a pipe");
        let mut line = String::new();
        // Ends with the program, if that should end.
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says where it listens");
        let (_, address) = line
            .split_once("http://")
            .unwrap_or_else(|| panic!("{line:?}"));
        (child, home, format!("http://{}/v0/healthz", address.trim()))
    });
    let (_child, _home, url) = served.await.expect("it serves");
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(crate::target::LONG)
        .build();
    let answer = client
        .expect("a client")
        .get(url)
        .send()
        .await
        .expect("it answers");
    assert!(answer.status().is_success(), "{answer:?}");
}

/// Of the system it needs the C library and nothing else.
#[tokio::test]
async fn nothing_is_linked_but_the_c_library() {
    if Target::own("what is linked", "").await.is_none() {
        return;
    }
    let home = Home::new();
    let program = Chiffon::arbiter(&home)
        .command(&[])
        .get_program()
        .to_owned();
    let output = Command::new("ldd").arg(program).output();
    let Ok(output) = output else {
        chiffon_tests::not_run("what is linked", "there is no ldd");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let known = [
        "linux-vdso",
        "libgcc_s",
        "libc.so",
        "libm.so",
        "libpthread",
        "libdl",
        "librt",
        "ld-linux",
        "statically linked",
    ];
    for line in text.lines() {
        assert!(known.iter().any(|name| line.contains(name)), "{text}");
    }
}
