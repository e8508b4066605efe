//! What is told beside a request, and what only looks like its object: none of it may widen, turn round or set what is done.

use super::*;

pub(super) fn six() -> Inventory {
    inventory(
        "all:\n  hosts:\n    atlas: {}\n    hermes: {}\n    zeus: {}\n    web-a: {}\n    web-b: {}\n  children:\n    web: {hosts: {web-a: \
         {}, web-b: {}}}\n    attic: {hosts: {atlas: {}, hermes: {}}}\n",
    )
}

/// Nothing of these changes anything.
#[track_caller]
pub(super) fn assert_none_changes(inventory: &Inventory, sentences: &str) {
    let planner = planner();
    let changing: Vec<String> = sentences
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .filter_map(|sentence| {
            let Proposal::Plan(planned) = planner.plan(sentence, inventory) else {
                return None;
            };
            let changes = planned.steps.iter().any(|step| {
                let entry = planner.catalogue().get(step.entry.as_str());
                entry.is_none_or(|entry| entry.tier > chiffon_common::Tier::Zero)
            });
            changes.then(|| format!("{sentence:?}: {}", said(&planned)))
        })
        .collect();
    assert!(
        changing.is_empty(),
        "{}:\n{}",
        changing.len(),
        changing.join("\n")
    );
}

#[test]
fn a_host_that_is_only_told_of_is_asked_about() {
    assert_none_changes(
        &six(),
        "reboot all hosts, atlas stays up
         reboot all hosts. Atlas stays up.
         reboot all hosts, atlas is in use
         reboot all hosts; atlas is in use
         reboot all hosts, we use atlas
         reboot all hosts, atlas works
         update all hosts, zeus is frozen
         update all hosts, zeus is too old
         stop nginx on web, we need it on web-a
         stop nginx on web, we need web-a
         remove nginx from web, we still need it on web-a
         remove nginx from web, it is used on web-a
         remove nginx from web because web-a uses it
         starte alle Rechner neu, atlas bleibt an
         starte alle Rechner neu, atlas wird gebraucht
         starte alle Rechner neu, wir brauchen atlas
         aktualisiere alle Rechner, zeus ist eingefroren
         redémarre toutes les machines, atlas est utilisé
         redémarre toutes les machines, on a besoin de atlas
         mets à jour toutes les machines, zeus est trop vieux
         supprime nginx de web, on en a besoin sur web-a",
    );
}

#[test]
fn a_host_that_corrects_or_joins_another_is_asked_about() {
    assert_none_changes(
        &six(),
        "reboot atlas, make that hermes
         reboot atlas, that is hermes
         reboot atlas, ok hermes
         reboot atlas, please hermes
         reboot atlas, now hermes
         reboot atlas, it is hermes
         reboot atlas, it's called hermes now
         reboot atlas, named hermes
         starte atlas, ich meine hermes, neu
         redémarre atlas, enfin hermes
         reboot atlas, hermes too
         reboot atlas, hermes also
         reboot atlas. Hermes as well.
         reboot atlas. Hermes needs it too.
         hermes is slow. Reboot it and atlas.
         redémarre atlas, hermes aussi
         starte atlas neu, hermes auch
         starte atlas neu. Hermes auch.
         restart nginx on web, only web-a
         restart nginx on web, just web-a
         redémarre atlas après hermes",
    );
    assert_all(
        &six(),
        &[
            ("reboot atlas. And hermes.", "reboot_host {} @atlas,hermes"),
            (
                "update atlas, hermes and zeus, but don't reboot zeus",
                "package_upgrade {} @atlas,hermes,zeus",
            ),
        ],
    );
}

#[test]
fn what_is_told_sets_no_parameter() {
    assert_none_changes(
        &six(),
        "clean up docker on atlas, we need the volumes
         clean up docker on atlas, volumes are needed
         clean up docker on atlas, images are in use
         clean up docker with volumes on atlas, we need the images
         prune docker on atlas, spare the volumes
         prune docker on atlas. Volumes are precious.
         prune docker on atlas; we use volumes
         the volumes are in use, prune docker on atlas
         volumes are important, prune docker on atlas
         prune docker on atlas, volumes are full
         räum docker auf atlas auf, wir brauchen die Volumes
         räum docker auf atlas auf, Volumes sind wichtig
         räum docker auf atlas auf, lass die Volumes
         nettoie docker sur atlas, on a besoin des volumes
         nettoie docker sur atlas, les volumes sont utilisés
         update atlas, nginx is frozen
         update atlas, nginx stays
         update atlas, nginx stays old
         update atlas, nginx is needed
         update atlas, we use nginx
         aktualisiere atlas, nginx bleibt
         aktualisiere atlas, wir brauchen nginx
         mets à jour atlas, nginx reste
         restore /etc on atlas, snapshot deadbeef is broken
         back up /etc on atlas, the repository /mnt/b is broken
         deploy kuma on atlas, port 3001 is in use
         deploy kuma on atlas, https://a.example.com is down
         prune docker volumes on atlas
         docker volume prune on atlas
         docker image prune on atlas
         prune only images of docker on atlas",
    );
    assert_all(
        &six(),
        &[
            (
                "prune docker with its volumes on atlas",
                r#"docker_prune {"volumes":true} @atlas"#,
            ),
            (
                "clean up docker including the volumes on atlas",
                r#"docker_prune {"volumes":true} @atlas"#,
            ),
        ],
    );
}

#[test]
fn what_is_told_against_it_is_asked_about() {
    assert_none_changes(
        &six(),
        "reboot atlas, not yet
         install nginx on atlas, not yet
         stop nginx on atlas, not yet please
         starte atlas neu, noch nicht
         redémarre atlas, pas encore
         stop nginx on atlas, still in use
         stop nginx on atlas, we need it
         remove nginx from atlas, we still need it
         reboot atlas, it is in use
         reboot atlas, that is not needed
         restart nginx on atlas, it is not needed
         restart nginx on atlas, not needed
         stoppe nginx auf atlas kurz
         redémarre atlas encore et encore",
    );
}

#[test]
fn a_question_or_a_telling_changes_nothing() {
    assert_none_changes(
        &six(),
        "soll nginx auf atlas neu gestartet werden
         muss atlas neu starten
         nginx auf atlas startet neu
         nginx on atlas restarts
         restart nginx and apache2 on atlas, we need apache2
         apt update
         apt-get update on atlas",
    );
}

#[test]
fn one_of_several_or_what_runs_on_one_is_asked_about() {
    assert_none_changes(
        &six(),
        "reboot a web server
         reboot an attic host
         redémarre une machine de web
         upgrade a web server
         reboote eine web kiste
         redémarre un serveur web
         starte einen attic Rechner neu
         restart both on atlas
         restart everything on atlas
         starte alles auf atlas neu
         redémarre tout sur atlas",
    );
    let lxc = inventory("all:\n  hosts: {nas: {}, docker: {}, pihole: {}, jellyfin: {}}\n");
    assert_none_changes(
        &lxc,
        "restart jellyfin on jellyfin
         restart docker on docker
         update jellyfin on jellyfin
         restart jellyfin
         bounce jellyfin
         starte jellyfin neu
         redémarre jellyfin
         restart pihole and jellyfin",
    );
    assert_all(&lxc, &[("reboot jellyfin", "reboot_host {} @jellyfin")]);
    let called = inventory(
        "all:\n  hosts: {nas: {}, db: {}, www: {}}\n  children:\n    servers: {hosts: {db: {}, www: {}}}\n",
    );
    assert_all(&called, &[("reboot all servers", "reboot_host {} @db,www")]);
}

#[test]
fn a_file_to_read_and_a_description_are_no_text() {
    assert_none_changes(
        &six(),
        "save /etc/hosts to /tmp/hosts on atlas
         save /tmp/a as /tmp/b on atlas
         put /etc/hosts in /tmp on atlas
         create /tmp/a with the content of /tmp/b on atlas
         write the content of /etc/motd to /tmp/motd on atlas
         write /etc/motd to /tmp/motd on atlas
         schreibe den Inhalt von /etc/hosts nach /tmp/a auf atlas
         speichere /etc/hosts als /tmp/hosts auf atlas
         écris le contenu de /etc/hosts dans /tmp/a sur atlas
         enregistre /etc/hosts dans /tmp/hosts sur atlas
         new file /tmp/a with the text from /tmp/b on atlas
         lege die Datei /tmp/a mit dem Inhalt von /tmp/b an auf atlas
         write an nginx config to /etc/nginx/nginx.conf on atlas
         write the ip of atlas to /tmp/a on atlas
         save the logs as /tmp/a on atlas
         save my work to /tmp/a on atlas
         write the same to /tmp/a on atlas
         write today's date to /tmp/a on atlas
         schreibe das Datum in /tmp/a auf atlas
         écris la date dans /tmp/a sur atlas",
    );
}

#[test]
fn what_is_to_come_first_comes_first() {
    const UPDATED: &str = "package_upgrade {} @atlas; reboot_host {} @atlas after [0]";
    const SAVED: &str =
        r#"backup_directory {"path":"/etc"} @atlas; reboot_host {} @atlas after [0]"#;
    assert_all(
        &six(),
        &[
            ("reboot atlas, but update it before", UPDATED),
            ("reboot atlas, but update it beforehand", UPDATED),
            ("reboot atlas and update it before", UPDATED),
            ("reboot atlas and before that update it", UPDATED),
            ("reboot atlas; back up /etc there before", SAVED),
            ("reboot atlas. But back up /etc before.", SAVED),
            ("reboot atlas. First, back up /etc on it.", SAVED),
            ("reboot atlas. Before that, back up /etc on it.", SAVED),
            ("starte atlas neu, aber aktualisiere es vorher", UPDATED),
            ("redémarre atlas mais mets-le à jour avant", UPDATED),
            ("redémarre atlas. Auparavant, sauvegarde /etc.", SAVED),
        ],
    );
}

#[test]
fn who_is_left_out_is_left_out_however_it_is_said() {
    const OTHERS: &str = "hermes,web-a,web-b,zeus";
    let reboot = format!("reboot_host {{}} @{OTHERS}");
    let update = format!("package_upgrade {{}} @{OTHERS}");
    let table: Vec<(&str, &str)> = [
        ("reboot everyone but atlas", &reboot),
        ("reboot all but atlas", &reboot),
        ("update all minus atlas", &update),
        ("starte alle außer atlas neu", &reboot),
        ("starte alle Rechner mit Ausnahme von atlas neu", &reboot),
        ("reboot all hosts with the exception of atlas", &reboot),
        (
            "redémarre toutes les machines à l'exception de atlas",
            &reboot,
        ),
        ("starte alle Rechner neu, atlas ausgenommen", &reboot),
        ("aktualisiere alle Rechner, atlas ausgenommen", &update),
    ]
    .map(|(sentence, plan)| (sentence, plan.as_str()))
    .to_vec();
    assert_all(&six(), &table);
    assert_all(
        &six(),
        &[
            ("reboot atlas not hermes", "reboot_host {} @atlas"),
            ("reboot not atlas but hermes", "reboot_host {} @hermes"),
            (
                "update all hosts, web-a and web-b excluded",
                "package_upgrade {} @atlas,hermes,zeus",
            ),
            (
                "remove apache2 from atlas and put nginx there instead",
                r#"package_remove {"name":"apache2"} @atlas; package_install {"name":"nginx"} @atlas after [0]"#,
            ),
        ],
    );
}

#[test]
fn one_long_word_costs_no_more_than_many_short_ones() {
    let planner = planner();
    let long = "x".repeat(100_000);
    let begun = std::time::Instant::now();
    for sentence in [long.clone(), format!("restart nginx on {long}")] {
        assert!(!matches!(
            planner.plan(&sentence, &six()),
            Proposal::Plan(_)
        ));
    }
    // It took a minute.
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

/// A list that is misspelt would be an empty one.
#[test]
fn every_list_that_a_rule_names_is_in_the_word_list() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("../playbooks/words/words.txt")).unwrap();
    let lists: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(" list:").map(|(name, _)| name))
        .collect();
    let mut named = 0;
    for file in fs::read_dir(root.join("src/planner")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let code = fs::read_to_string(&path).unwrap();
        for call in ["words::is_in(\"", "words::all_of(\"", ".says(\""] {
            for rest in code.split(call).skip(1) {
                let name = rest.split('"').next().unwrap();
                assert!(lists.contains(&name), "{}: {name:?}", path.display());
                named += 1;
            }
        }
    }
    assert!(named > 60, "{named}");
}
