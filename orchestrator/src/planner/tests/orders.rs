//! Orders that only look like another: what is to run at times, what is spoken of as several of a kind, a path that is the backup
//! itself, and what is said to be left out of a change.

use super::{
    told::{assert_none_changes, six},
    *,
};

/// Whoever says "run" wants no report of whether it runs.
#[test]
fn what_is_to_run_is_no_report() {
    for sentence in [
        "run \"x.sh\" every other day at 3 on atlas",
        "run \"x.sh\" every 2 weeks on atlas",
        "run \"x.sh\" every 45 minutes on atlas",
        "run \"x.sh\" twice a day on atlas",
        "run \"x.sh\" every 2 days on atlas",
        "run \"x.sh\" at noon on atlas",
        "run \"x.sh\" daily at 25:00 on atlas",
        "run \"x.sh\" on atlas now",
        "run \"reboot\" at 3am on atlas",
        "run x.sh every night on atlas",
        "führe \"x.sh\" alle zwei Wochen auf atlas aus",
        "führe \"x.sh\" jeden zweiten Tag auf atlas aus",
        "exécute \"x.sh\" tous les deux jours sur atlas",
    ] {
        let found = outcome(&planner(), sentence, &six());
        assert!(found.starts_with("ask"), "{sentence}: {found}");
    }
    assert_all(
        &six(),
        &[(
            "run \"x.sh\" every Monday and Thursday at 7:30 on atlas",
            r#"cron_job {"command":"x.sh","schedule":"30 7 * * 1,4"} @atlas"#,
        )],
    );
}

#[test]
fn several_of_a_kind_are_no_name() {
    assert_none_changes(
        &six(),
        "remove duplicates on atlas
         remove leftovers on atlas
         install browsers on atlas
         entferne Duplikate auf atlas
         supprime doublons sur atlas
         system upgrade 42 on atlas",
    );
}

#[test]
fn the_backup_itself_is_no_folder_in_it() {
    assert_none_changes(
        &six(),
        "restore the backup /mnt/b to /etc on atlas
         restore the backup /mnt/b on atlas
         stelle das Backup /mnt/b nach /etc auf atlas wieder her
         restaure la sauvegarde /mnt/b dans /etc sur atlas",
    );
}

#[test]
fn a_reboot_that_nobody_makes_may_be_left_out() {
    const UPDATED: &str = "package_upgrade {} @atlas";
    assert_all(
        &six(),
        &[
            ("update atlas without a reboot", UPDATED),
            ("update atlas without rebooting it", UPDATED),
            ("aktualisiere atlas ohne Neustart", UPDATED),
            ("mets à jour atlas sans redémarrage", UPDATED),
            ("mets à jour atlas sans le redémarrer", UPDATED),
            ("reboot atlas without a reboot", ASK),
            ("restart nginx on atlas without a restart", ASK),
        ],
    );
}

#[test]
fn a_sign_within_a_key_is_no_part_of_it() {
    assert_none_changes(
        &six(),
        "add the key ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ < ada@desk for ada on atlas
         add the key ssh-ed25519 < AAAAC3NzaC1lZDI1NTE5AAAAIJ ada@desk for ada on atlas",
    );
}

#[test]
fn one_of_two_things_is_not_guessed() {
    assert_none_changes(
        &six(),
        "I don't want you to restart nginx on atlas
         starte nur hermes neu, nicht atlas
         redémarre seulement hermes, pas atlas
         restart nginx and apache2 on atlas and stop it",
    );
}

#[test]
fn what_happens_or_is_asked_is_not_done() {
    assert_none_changes(
        &six(),
        "kann man atlas neu starten
         should nginx on atlas be restarted
         sollen wir atlas neu starten
         nginx sur atlas redémarre
         der Dienst nginx auf atlas startet neu
         the nginx service on atlas restarts
         stoppe nginx auf atlas mal kurz",
    );
}

#[test]
fn what_a_text_is_called_is_not_the_text() {
    assert_none_changes(
        &six(),
        "write down the date in /tmp/a on atlas
         write nginx config to /etc/nginx/nginx.conf on atlas
         save logs to /tmp/a on atlas
         schreibe Datum in /tmp/a auf atlas",
    );
    assert_all(
        &six(),
        &[(
            "write hello to /tmp/a on atlas",
            r#"write_file {"content":"hello","path":"/tmp/a"} @atlas"#,
        )],
    );
}

#[test]
fn before_behind_a_comma_comes_first() {
    assert_all(
        &six(),
        &[
            (
                "reboot atlas and, before, back up /etc",
                r#"backup_directory {"path":"/etc"} @atlas; reboot_host {} @atlas after [0]"#,
            ),
            (
                "update atlas before, then reboot it",
                "package_upgrade {} @atlas; reboot_host {} @atlas after [0]",
            ),
        ],
    );
}
