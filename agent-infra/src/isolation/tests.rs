//! What each kind of isolation starts a run through, and what is refused. That a sandbox holds is left to the
//! suite against a real Ansible.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{trees::Trees, *};

fn systemd(of_user: bool) -> Systemd {
    Systemd {
        program: "/usr/bin/systemd-run".into(),
        of_user,
        trees: Trees {
            paths: vec!["/opt/venv".into()],
            ..Trees::default()
        },
        readable: vec!["/srv/images".into()],
    }
}

fn with_site<T>(local: bool, look: impl FnOnce(&Site<'_>) -> T) -> T {
    let needs = Needs {
        files: BTreeSet::from(["/home/ada/.ssh/id".into()]),
        ssh_agent: Some("/run/user/7/agent".into()),
    };
    let environment = BTreeMap::from([("HOME".to_owned(), "s3cret".to_owned())]);
    look(&Site {
        folder: &Folder::new(Path::new("/dev/shm/x/run")),
        control: "/tmp/chiffon-1".into(),
        environment: &environment,
        needs: &needs,
        local,
        keeps_daemons: false,
    })
}

fn offers(choice: IsolationChoice, found: Option<Means>) -> Isolation {
    Isolation {
        config: IsolationConfig {
            choice,
            ..IsolationConfig::default()
        },
        found,
        missing: vec!["bubblewrap is not installed".to_owned()],
    }
}

#[test]
fn a_service_of_systemd_is_closed_bounded_and_given_no_value_on_its_command_line() {
    let fence = with_site(false, |site| systemd(false).fence(site, &Limits::default()));
    assert!(fence.detached);
    let command = fence.command.join("\n");
    for part in [
        "/usr/bin/systemd-run\n--quiet\n--pipe\n--wait\n--collect\n",
        "--property=NoNewPrivileges=yes\n",
        "--property=ProtectSystem=strict\n",
        "--property=ProtectHome=tmpfs\n",
        "--property=PrivateTmp=yes\n",
        "--property=KillMode=control-group\n",
        "--property=BindReadOnlyPaths=-/opt/venv\n",
        "--property=BindReadOnlyPaths=-/srv/images\n",
        "--property=BindReadOnlyPaths=-/home/ada/.ssh/id\n",
        "--property=BindReadOnlyPaths=-/run/user/7/agent\n",
        "--property=BindReadOnlyPaths=/dev/shm/x/run\n",
        "--property=BindPaths=/dev/shm/x/run/home\n",
        "--property=BindPaths=/tmp/chiffon-1\n",
        "--property=MemoryMax=4096M\n",
        "--property=TasksMax=1024\n",
        "--property=LimitNOFILE=4096\n",
        "--setenv=HOME\n",
        "--setenv=CHIFFON_RUN\n",
    ] {
        assert!(command.contains(part), "{part} in {command}");
    }
    assert!(command.ends_with("--working-directory=/dev/shm/x/run/bundle\n--"));
    assert!(!command.contains("s3cret") && !command.contains("Nice="));
    let command = with_site(false, |site| systemd(true).fence(site, &Limits::default())).command;
    assert_eq!(command[0], "/usr/bin/env");
    assert!(command[1].starts_with("XDG_RUNTIME_DIR=/run/user/"));
    assert_eq!(command[3], "--user");
    chiffon_tests::not_run(
        "a run as a service of systemd",
        "needs a machine that systemd manages; only its command line is held here",
    );
}

#[test]
fn what_is_asked_for_by_name_and_missing_refuses_and_auto_says_so() {
    for choice in [
        IsolationChoice::Bubblewrap,
        IsolationChoice::Systemd,
        IsolationChoice::User,
    ] {
        let none = offers(choice, None);
        let problem = with_site(false, |site| none.fence(site)).unwrap_err();
        assert_eq!(problem.code, ErrorCode::IsolationMissing);
        assert!(problem.detail.contains("bubblewrap is not installed"));
        assert_eq!(none.refuses(), Some(problem));
        assert!(none.words().contains("refused"), "{}", none.words());
    }
    let auto = offers(IsolationChoice::Auto, None);
    let fence = with_site(false, |site| auto.fence(site)).unwrap();
    assert_eq!(fence.command, [""; 0]);
    assert!(
        fence
            .words
            .starts_with("no sandbox, because this machine offers none; at most")
    );
    assert!(auto.advice().unwrap().contains("apt install bubblewrap"));
    let chosen = offers(IsolationChoice::None, None);
    assert_eq!((chosen.advice(), chosen.refuses()), (None, None));
}

#[test]
fn a_run_on_this_machine_gets_limits_only_whatever_there_is() {
    for choice in [IsolationChoice::Auto, IsolationChoice::Systemd] {
        for found in [None, Some(Means::Systemd(systemd(false)))] {
            let isolation = offers(choice, found);
            let fence = with_site(true, |site| isolation.fence(site)).unwrap();
            assert!(fence.command.is_empty() && !fence.detached);
            assert!(
                fence
                    .words
                    .contains("change this machine; at most 4096 MiB")
            );
        }
    }
}

#[test]
fn users_are_found_by_their_whole_name() {
    let list = "root:x:0:0::/root:/bin/sh\nrunner2:x:7:8::/:\nrunner:x:1001:1002:R,,:/h:/bin/sh\n";
    assert_eq!(user::find(list, "runner"), Some((1001, 1002)));
    assert_eq!(user::find(list, "run"), None);
    assert!(User::attempt(None, None).is_err());
    if rustix::process::geteuid().is_root() {
        let why = User::attempt(Some("root"), None).unwrap_err();
        assert!(why.contains("is root"), "{why}");
    }
}
