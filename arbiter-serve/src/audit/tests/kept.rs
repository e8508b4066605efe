//! What others do to the files while they are written: nothing of theirs is taken off, nothing is added to what was cut off,
//! and once all is as it was, it goes on by itself.

use std::{fs::OpenOptions, io::Write, time::Duration};

use super::*;

/// The writer on a folder with some records, and what becomes of the next one.
struct Written {
    _held: TempDir,
    folder: PathBuf,
    runtime: tokio::runtime::Runtime,
    audit: Audit,
    writing: Writing,
}

impl Written {
    fn new(rotation: Rotation) -> Self {
        let (held, folder) = folder();
        write(&folder, ALL, 3);
        let opened = open(&folder).expect("it opens");
        let started = start(opened, rotation, Needs::nothing(), rules);
        let (audit, writing) = started.expect("the writer starts");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            _held: held,
            folder,
            runtime: runtime.enable_time().build().expect("a runtime"),
            audit,
            writing,
        }
    }

    fn put(&self, n: u32) -> Result<(), Unwritten> {
        let record = format!("{{\"kind\":\"event\",\"n\":{n}}}");
        self.runtime.block_on(async {
            let place = self.audit.place().await?;
            place.put(record.into_bytes(), None).wait().await
        })
    }

    /// The next record is not written, for this reason, and nothing new is taken.
    #[track_caller]
    fn is_refused(&self, why: &str) {
        let error = self.put(1).expect_err("it is not written");
        assert!(error.0.contains(why), "{error}");
        assert!(self.put(2).is_err(), "nothing new is taken");
    }

    /// What was kept is written once all is as it was, and the chain is whole.
    #[track_caller]
    fn goes_on(self) {
        self.runtime.block_on(async {
            let begun = std::time::Instant::now();
            while let Some(fault) = self.audit.fault() {
                assert!(begun.elapsed() < Duration::from_secs(60), "{fault}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        self.put(3).expect("written");
        drop(self.audit);
        let head = self.writing.join().expect("it ends");
        let verified = verify(&self.folder, &[Anchor(head)], Beginning::First);
        verified.expect("it verifies");
        let texts = files(&self.folder).unwrap().into_iter();
        let text: String = texts.map(|it| fs::read_to_string(it).unwrap()).collect();
        for n in [1, 3] {
            let found = text
                .matches(&format!("\"kind\":\"event\",\"n\":{n}}}"))
                .count();
            let found = found
                + text
                    .matches(&format!("\"kind\":\"event\",\"n\":{n},\"hash\""))
                    .count();
            assert_eq!(found, 1, "{n}: {text}");
        }
    }
}

#[test]
fn a_file_that_was_cut_off_is_not_filled_up() {
    for left in [0, 100] {
        let written = Written::new(ALL);
        let path = only_file(&written.folder);
        let whole = fs::read(&path).unwrap();
        let cut = OpenOptions::new().write(true).open(&path).unwrap();
        cut.set_len(left).unwrap();
        written.is_refused("was cut off or emptied");
        assert_eq!(fs::read(&path).unwrap(), &whole[..left as usize]);
        // Nor is one of the same length that has other bytes.
        cut.set_len(whole.len() as u64).unwrap();
        let begun = std::time::Instant::now();
        while !written
            .audit
            .fault()
            .is_some_and(|it| it.0.contains("overwritten"))
        {
            assert!(begun.elapsed() < Duration::from_secs(60), "it is looked at");
            std::thread::sleep(Duration::from_millis(20));
        }
        fs::write(&path, whole).unwrap();
        written.goes_on();
    }
}

#[test]
fn a_full_file_that_was_cut_off_is_not_left_behind_for_whole() {
    let written = Written::new(Rotation { bytes: 1, keep: 0 });
    written.put(0).expect("a file for itself");
    let path = files(&written.folder).unwrap().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, b"").unwrap();
    written.is_refused("was cut off or emptied");
    fs::write(&path, whole).unwrap();
    written.goes_on();
}

#[test]
fn what_others_have_written_is_not_taken_off() {
    let written = Written::new(ALL);
    let path = only_file(&written.folder);
    let whole = fs::read(&path).unwrap();
    let mut theirs = OpenOptions::new().append(true).open(&path).unwrap();
    theirs.write_all(b"theirs\n").unwrap();
    written.is_refused("did not write");
    assert_eq!(
        fs::read(&path).unwrap(),
        [&whole, b"theirs\n".as_slice()].concat()
    );
    theirs.set_len(whole.len() as u64).unwrap();
    written.goes_on();
}

#[test]
fn what_a_try_of_ones_own_has_left_is_taken_off() {
    let (_held, folder) = folder();
    let mut head = write(&folder, ALL, 2);
    let mut last = open(&folder).expect("it opens").last.expect("a file");
    let mut try_again = |left: &[u8], tried: &[u8]| {
        let mut theirs = OpenOptions::new().append(true).open(&last.path).unwrap();
        theirs.write_all(left).unwrap();
        last.tried = tried.to_vec();
        let record = br#"{"kind":"event"}"#.as_slice();
        ours::append(&mut last, &mut head, [record], &mut Vec::new())
    };
    // In part, with what never reached the disk, and all of it.
    try_again(b"{\"se", b"{\"seq\":1").expect("it is taken off");
    try_again(b"{\0\0e", b"{\"seq\":1").expect("it is taken off");
    try_again(b"{\"seq\":1", b"{\"seq\":1").expect("it is taken off");
    try_again(b"{\"seq\":2", b"{\"seq\":1").expect_err("not by this try");
    let verified = verify(&folder, &[], Beginning::First).expect_err("theirs is there");
    assert!(verified.to_string().contains("in the middle"), "{verified}");
}

#[test]
fn a_copy_that_was_brought_back_is_gone_on_with() {
    let written = Written::new(ALL);
    let path = only_file(&written.folder);
    let away = written.folder.join("elsewhere");
    fs::rename(&path, &away).unwrap();
    written.is_refused("moved away");
    // Not one with other bytes, however long.
    let whole = fs::read_to_string(&away).unwrap();
    fs::write(&path, whole.replacen("xxx", "xyx", 1)).unwrap();
    let begun = std::time::Instant::now();
    while !written
        .audit
        .fault()
        .is_some_and(|it| it.0.contains("other bytes"))
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is looked at");
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::remove_file(&path).unwrap();
    fs::copy(&away, &path).unwrap();
    written.goes_on();
}

#[test]
fn a_file_with_the_next_name_is_left_as_it_is() {
    let written = Written::new(Rotation { bytes: 1, keep: 0 });
    written.put(0).expect("a file for itself");
    let last = files(&written.folder).unwrap().pop().unwrap();
    let next = scan::first_of(&last).unwrap() + 2;
    let path = written.folder.join(scan::file_name(next));
    fs::write(&path, "somebody else's\n").unwrap();
    written.is_refused("lies there already");
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's\n");
    fs::remove_file(&path).unwrap();
    written.goes_on();
}

#[test]
fn two_never_write_to_one_folder_whatever_became_of_its_lock() {
    let written = Written::new(Rotation { bytes: 1, keep: 0 });
    for n in 10..13 {
        fs::remove_file(written.folder.join("lock")).unwrap();
        let opened = open(&written.folder);
        assert!(matches!(opened, Err(OpenError::InUse(_))), "{opened:?}");
        let held = unused(&written.folder).expect("it can be looked at");
        assert!(held.is_none(), "nor is it left for others");
        written.put(n).expect("written");
    }
    written.put(1).expect("written");
    written.goes_on();
    let (_held, folder) = folder();
    write(&folder, ALL, 1);
    let held = unused(&folder).expect("it can be looked at");
    assert_eq!(
        held.map(|held| held.len()),
        Some(2),
        "the last file and the lock"
    );
}

#[test]
fn an_empty_last_file_of_another_name_is_refused() {
    let (_held, folder) = folder();
    let head = write(&folder, ALL, 3);
    let path = folder.join(scan::file_name(9_999));
    fs::write(&path, b"").unwrap();
    let opened = open(&folder);
    let next = head.seq + 1;
    assert!(
        matches!(&opened, Err(OpenError::Misnamed { file, named: 9_999, next: n }) if *file == path && *n == next),
        "{opened:?}"
    );
    let error = verify(&folder, &[], Beginning::First).expect_err("it says so");
    assert!(error.to_string().contains("record 9999"), "{error}");
    // So is one with nothing but a torn line.
    fs::write(&path, b"{\"seq\":99").unwrap();
    let opened = open(&folder);
    assert!(
        matches!(opened, Err(OpenError::Misnamed { .. })),
        "{opened:?}"
    );
    fs::remove_file(&path).unwrap();
    write(&folder, ALL, 1);
    // And the only file of all.
    let (_held, folder) = self::folder();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(scan::file_name(7)), b"").unwrap();
    let opened = open(&folder);
    assert!(
        matches!(
            opened,
            Err(OpenError::Misnamed {
                named: 7,
                next: 1,
                ..
            })
        ),
        "{opened:?}"
    );
}

#[test]
fn a_record_that_lacks_only_its_line_end_stays() {
    let (_held, folder) = folder();
    let head = write(&folder, ALL, 4);
    let path = only_file(&folder);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let mut opened = open(&folder).expect("it opens");
    assert_eq!(opened.head, head);
    assert!(opened.last_at.is_none(), "these records have no time");
    assert_eq!(
        fs::read(&path).unwrap().len(),
        whole.len() - 1,
        "it is as it was"
    );
    assert_eq!(opened.mend().expect("it is mended"), None);
    assert_eq!(fs::read(&path).unwrap(), whole);
    drop(opened);
    write(&folder, ALL, 1);
    verify(&folder, &[Anchor(head)], Beginning::First).expect("the chain goes on behind it");
}

#[test]
fn what_is_no_folder_is_said_to_be_none() {
    let held = tempfile::tempdir().expect("a folder");
    let file = held.path().join("file");
    fs::write(&file, b"").unwrap();
    let link = held.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for path in [file, link] {
        let opened = open(&path);
        assert!(matches!(opened, Err(OpenError::NoFolder(_))), "{opened:?}");
    }
}

#[test]
fn what_is_no_file_is_waited_for_by_nobody() {
    let (_held, folder) = folder();
    write(&folder, ALL, 1);
    let pipe = folder.join(scan::file_name(9));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let error = verify(&folder, &[], Beginning::First).expect_err("it is no file");
    assert!(error.to_string().contains("no file"), "{error}");
}
