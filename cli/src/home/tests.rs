//! What a data folder must be, what a first start leaves, and that only one may use it.

use std::os::unix::fs::PermissionsExt;

use super::*;

struct Place {
    _folder: tempfile::TempDir,
    home: Home,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    let env = Env::from([("CHIFFON_HOME", path.to_str().unwrap())]);
    Place {
        home: Home::locate(&env).unwrap(),
        _folder: folder,
    }
}

fn made() -> Place {
    let place = place();
    place.home.make_folder(&|_| {}).unwrap();
    place.home.fill(&|_| {}).unwrap();
    place
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_place_is_chiffon_home_or_the_xdg_data_folder() {
    let at = |env: &Env| Home::locate(env).map(|home| home.path);
    let given = Env::from([
        ("CHIFFON_HOME", "/a"),
        ("XDG_DATA_HOME", "/b"),
        ("HOME", "/c"),
    ]);
    assert_eq!(at(&given).unwrap(), Path::new("/a"));
    let xdg = Env::from([("XDG_DATA_HOME", "/b"), ("HOME", "/c")]);
    assert_eq!(at(&xdg).unwrap(), Path::new("/b/chiffon"));
    let plain = Env::from([("HOME", "/c")]);
    assert_eq!(at(&plain).unwrap(), Path::new("/c/.local/share/chiffon"));
    for bad in [Env::default(), Env::from([("CHIFFON_HOME", "here")])] {
        assert_eq!(at(&bad).unwrap_err().code, ErrorCode::HomeUnusable);
    }
}

#[test]
fn a_first_start_makes_everything_closed_to_others_and_a_second_changes_nothing() {
    let place = made();
    let home = &place.home;
    assert_eq!(mode(home.path()), 0o700);
    for file in ["keys/orchestrator.key", "token", "chiffon.yaml", "version"] {
        assert_eq!(mode(&home.path().join(file)), 0o600, "{file}");
    }
    let token = read_token(home).unwrap();
    let public = signer(home).unwrap().public().to_string();
    let trusted = fs::read_to_string(home.trusted_keys()).unwrap();
    assert!(trusted.contains(&public));
    let said = std::cell::RefCell::new(Vec::new());
    home.fill(&|line| said.borrow_mut().push(line.to_owned()))
        .unwrap();
    assert_eq!(read_token(home).unwrap(), token);
    assert_eq!(*said.borrow(), Vec::<String>::new());
}

#[test]
fn a_folder_that_is_open_read_only_or_a_file_is_refused_with_a_way_out() {
    for (wrong, says) in [(0o755, "open to others"), (0o500, "read-only")] {
        let place = made();
        chmod(place.home.path(), wrong);
        let problem = place.home.make_folder(&|_| {}).unwrap_err();
        chmod(place.home.path(), 0o700);
        assert_eq!(problem.code, ErrorCode::HomeUnusable);
        assert!(problem.detail.contains(says), "{problem:?}");
        assert!(problem.todo.contains("chmod 700"), "{problem:?}");
    }
    let place = place();
    fs::write(place.home.path(), "x").unwrap();
    let problem = place.home.make_folder(&|_| {}).unwrap_err();
    assert!(problem.detail.contains("is a file"), "{problem:?}");
}

#[test]
fn a_folder_of_a_later_version_is_refused() {
    let place = made();
    fs::write(place.home.path().join("version"), "2\n").unwrap();
    let problem = place.home.check().unwrap_err();
    assert_eq!(problem.code, ErrorCode::StoreNewer);
}

#[test]
fn secrets_that_others_can_read_or_that_are_none_are_refused() {
    let place = made();
    let token = place.home.path().join("token");
    chmod(&token, 0o644);
    assert_eq!(
        read_token(&place.home).unwrap_err().code,
        ErrorCode::KeyFault
    );
    chmod(&token, 0o600);
    fs::write(&token, "chf_short").unwrap();
    assert_eq!(
        read_token(&place.home).unwrap_err().code,
        ErrorCode::KeyFault
    );
    fs::write(place.home.path().join("keys/orchestrator.key"), "AAAA").unwrap();
    assert_eq!(signer(&place.home).unwrap_err().code, ErrorCode::KeyFault);
}

#[test]
fn a_lost_key_is_drawn_anew_with_words_and_never_takes_the_place_of_another_unseen() {
    let place = made();
    let home = &place.home;
    let main = home.path().join("ledger/refs/heads/main");
    fs::create_dir_all(main.parent().unwrap()).unwrap();
    fs::write(main, "").unwrap();
    let old = ledger_signer(home).unwrap().public();
    fs::remove_file(home.path().join("keys/ledger.key")).unwrap();
    let said = std::cell::RefCell::new(Vec::new());
    home.fill(&|line| said.borrow_mut().push(line.to_owned()))
        .unwrap();
    let words = said.borrow().join("\n");
    assert!(words.contains("ledger.key is missing"), "{words}");
    let signers = fs::read_to_string(home.path().join("keys/ledger.allowed_signers")).unwrap();
    let new = ledger_signer(home).unwrap().public();
    assert!(
        signers.contains(&old) && signers.contains(&new),
        "{signers}"
    );

    // The agents would refuse whatever another key has sealed.
    fs::remove_file(home.path().join("keys/orchestrator.key")).unwrap();
    let problem = home.fill(&|_| {}).unwrap_err();
    assert_eq!(problem.code, ErrorCode::KeyFault);
    assert!(problem.detail.contains("orchestrators.pub"), "{problem:?}");
    fs::remove_file(home.trusted_keys()).unwrap();
    home.fill(&|_| {}).unwrap();
}

#[test]
fn the_second_learns_where_the_first_is_and_a_stale_word_is_not_believed() {
    let place = made();
    let home = &place.home;
    let running = Running {
        pid: std::process::id(),
        address: "127.0.0.1:9".parse().unwrap(),
        kind: Kind::Up,
        version: "0".to_owned(),
        since: jiff::Timestamp::UNIX_EPOCH,
    };
    let Held::Ours(lock) = Lock::try_take(home).unwrap() else {
        panic!("nobody else has it");
    };
    assert!(matches!(Lock::try_take(home).unwrap(), Held::Theirs(None)));
    lock.tell(&running).unwrap();
    assert_eq!(mode(&home.path().join("up.json")), 0o600);
    match Lock::try_take(home).unwrap() {
        Held::Theirs(Some(told)) => assert_eq!(told, running),
        other => panic!("{other:?}"),
    }
    assert_eq!(Running::of(home).as_ref(), Some(&running));
    // What another one that was killed had told, while somebody holds the lock for a moment: nobody is named.
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    let pid = dead.id();
    dead.wait().unwrap();
    lock.tell(&Running {
        pid,
        ..running.clone()
    })
    .unwrap();
    assert!(matches!(Lock::try_take(home).unwrap(), Held::Theirs(None)));
    drop(lock);
    assert!(!home.path().join("up.json").exists());
    // As after kill -9: the word is there, the lock is not.
    fs::write(
        home.path().join("up.json"),
        serde_json::to_string(&running).unwrap(),
    )
    .unwrap();
    assert_eq!(Running::of(home), None);
    assert!(matches!(Lock::try_take(home).unwrap(), Held::Ours(_)));
    assert_eq!(Running::of(home), None, "the stale word is gone");
}

#[test]
fn a_folder_that_cannot_be_written_is_found_out_and_a_good_one_left_as_it_was() {
    let place = made();
    let objects = place.home.path().join("ledger/objects");
    assert_eq!(faults(&place.home), [], "there is none yet");
    let agent = place.home.agent("infrastructure");
    fs::create_dir_all(&objects).unwrap();
    fs::create_dir_all(&agent).unwrap();
    assert_eq!(faults(&place.home), []);
    for folder in [&objects, &agent] {
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
    // Also root cannot write to a file where a folder is.
    for folder in [place.home.path(), &objects, &agent] {
        fs::create_dir(folder.join(".chiffon-probe")).unwrap();
    }
    let found = faults(&place.home);
    let parts: Vec<&str> = found.iter().map(|(part, _)| part.as_str()).collect();
    assert_eq!(parts, ["store", "ledger", "agent infrastructure"]);
    assert!(
        found[1].1.contains("objects cannot be written"),
        "{found:?}"
    );
}
