//! What stands in the place of a host: a host, a way to say "here", what is no place at all, or a host that nobody knows. Over
//! an inventory of one host and over one of five: that there is only one is no reason to take it.

use super::*;

fn five() -> Inventory {
    inventory("all:\n  hosts: {localhost: {}, nas: {}, tower: {}, pi: {}, web1: {}}\n")
}

/// Words in the place of a host that are none of either inventory.
const UNKNOWN: &[&str] = &[
    "Install htop on pluto",
    "install htop on web",
    "install htop on the web server",
    "install htop on docker",
    "install htop on plex",
    "install htop on the kitchen pc",
    "install htop on backup-server",
    "install htop on the office",
    "install htop on my other server",
    "install htop on his laptop",
    "install htop on the vm",
    "install htop on the server pluto",
    "install htop on 192.168.7.7",
    "install htop and jq on garage",
    "please install htop onto dns",
    "on pluto, install htop",
    "On web, please restart cron.",
    "reboot pluto",
    "update the office",
    "ping pluto",
    "stop cron on disk",
    "remove htop from pluto",
    "remove htop from the garage",
    "restart nginx at web",
    "restart cron on docker",
    "deploy uptime kuma to pluto",
    "deploy uptime kuma to web",
    "clean up docker on pluto",
    "clean up docker in the kitchen",
    "docker eats all the space on pluto, prune it",
    "write \"x\" to /tmp/x on the tv",
    "back up /etc on web",
    "back up /etc of pluto",
    "how full are the disks on pluto?",
    "is nginx running on web?",
    "start jellyfin on media",
    "every night at three run /bin/true on pluto",
    "run /bin/true every Sunday at 4:15 on web",
    "install htop on pluto and restart cron there",
    "install htop on pluto and on web",
    "restart cron on every server in the office",
    "install htop on the box under the stairs",
    "install htop on the second server",
    "install htop for the web server",
    "for pluto, install htop",
    "upgrade all packages on pluto",
    "update the pluto and then reboot it",
    "prune docker at home",
    "install htop on localhost and the tv",
    "Installiere htop auf pluto",
    "installiere htop auf dem web",
    "installiere htop auf der Küche",
    "installiere htop auf dem Webserver",
    "starte cron auf dem Keller neu",
    "lösche htop von pluto",
    "wie voll sind die Platten auf pluto?",
    "jede Nacht um drei /bin/true auf pluto ausführen",
    "räum docker auf dem Dachboden auf",
    "Installe htop sur pluto",
    "installe htop sur le web",
    "redémarre nginx sur docker",
    "supprime htop de pluto",
    "quel espace disque reste-t-il sur pluto ?",
    "exécute /bin/true chaque nuit à trois heures sur pluto",
];

/// Such words where nothing leads to them as to a place, and other times than now: what is meant is asked.
const UNCLEAR: &[&str] = &[
    "restart nginx everywhere except web",
    "reboot all hosts except pluto",
    "restart cron on startup",
    "restart cron at work",
    "restart cron on the weekend",
    "installiere htop am Freitag",
    "pluto: install htop",
    "redémarre le serveur web",
    "update pluto and then reboot it",
    "update the office and then reboot it",
    "reboot web",
    "reboot the kitchen",
    "reboot the raspberry pi 4",
    "starte web neu",
    "boote den Keller neu",
    "redémarre cron sur la cuisine",
    "install htop on pluto tonight please",
];

#[test]
fn what_stands_for_a_host_and_is_none_is_asked_about() {
    let table: Vec<(&str, &str)> = UNKNOWN.iter().map(|said| (*said, "ask 5102")).collect();
    assert_all(&alone(), &table);
    assert_all(&five(), &table);
    let planner = planner();
    for said in UNCLEAR {
        for inventory in [alone(), five()] {
            let found = outcome(&planner, said, &inventory);
            assert!(found.starts_with("ask"), "{said}: {found}");
        }
    }
}

/// The question names what was said and what there is.
#[test]
fn the_question_says_which_word_and_which_hosts() {
    let Proposal::Ask(question) = planner().plan("Install htop on pluto", &alone()) else {
        panic!("nobody knows pluto");
    };
    assert!(
        question.problem.detail.contains("pluto"),
        "{}",
        question.problem
    );
    assert!(
        question.problem.detail.contains("localhost"),
        "{}",
        question.problem
    );
}

#[test]
fn what_is_no_place_needs_no_host_of_its_name() {
    let htop = r#"package_install {"name":"htop"} @localhost"#;
    let cron = r#"service_restart {"name":"cron"} @localhost"#;
    let write = r#"write_file {"content":"x","path":"/tmp/x"} @localhost"#;
    let nightly = r#"cron_job {"command":"/bin/true","schedule":"0 3 * * *"} @localhost"#;
    assert_all(
        &alone(),
        &[
            ("install htop", htop),
            ("install htop here", htop),
            ("install htop on this machine", htop),
            ("install htop on the server", htop),
            ("install htop on my laptop", htop),
            ("install htop on localhost", htop),
            ("install htop on it", htop),
            ("install htop on all machines", htop),
            ("put htop on this machine please", htop),
            ("installiere htop auf diesem Rechner", htop),
            ("installiere htop auf dem Server", htop),
            ("installiere htop auf Wunsch", htop),
            ("installe htop sur ce serveur", htop),
            ("installe htop sur cette machine", htop),
            ("restart cron now", cron),
            ("turn cron off and on again", cron),
            ("restart cron to be safe", cron),
            ("restart cron on the machine", cron),
            ("write \"x\" to /tmp/x", write),
            ("write \"x\" to the file /tmp/x on this computer", write),
            ("reboot the machine", "reboot_host {} @localhost"),
            ("Starte den Server neu", "reboot_host {} @localhost"),
            (
                "deploy uptime kuma on port 3010",
                r#"deploy_kuma {"port":3010} @localhost"#,
            ),
            (
                "how full are the disks on the server?",
                r#"host_report {"section":"disks"} @localhost"#,
            ),
            ("run /bin/true every night at three", nightly),
        ],
    );
}

/// Every word of the list that may be the name of something, and every program: none of them becomes the one host.
#[test]
fn no_word_of_the_list_becomes_the_one_host() {
    let (planner, alone) = (planner(), alone());
    let words = words::for_tests();
    assert!(words.len() > 1_000);
    let step = std::env::var("EVERY").map_or(29, |every| every.parse().unwrap());
    let is_name = |word: &&&str| word.parse::<HostName>().is_ok() && alone.meant(word).is_none();
    let unknown = words.iter().filter(is_name);
    for word in unknown.step_by(step) {
        for sentence in [
            format!("install htop on {word}"),
            format!("installiere htop auf {word}"),
            format!("restart cron on the {word}"),
            // "From the apps": what is removed is one.
            match index::canonical(word) == "package" {
                true => format!("remove htop on {word}"),
                false => format!("remove htop from {word}"),
            },
        ] {
            let found = outcome(&planner, &sentence, &alone);
            assert!(found.starts_with("ask"), "{sentence}: {found}");
        }
    }
}

/// An action beside a word for a machine is its name.
#[test]
fn a_machine_may_be_called_like_an_action() {
    let table: Vec<(&str, &str)> = [
        "install htop on the backup server",
        "installe htop sur le serveur de sauvegarde",
        "installiere htop auf dem Backup-Server",
        "restart cron on the backup box",
    ]
    .iter()
    .map(|said| (*said, "ask 5102"))
    .collect();
    assert_all(&alone(), &table);
    assert_all(&five(), &table);
}
