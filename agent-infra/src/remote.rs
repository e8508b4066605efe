//! Ending what an attempt left on its hosts: processes whose command line names the attempt's own
//! temporary folder, or whose environment carries its mark where the server lets `LC_*` pass, their
//! sessions, and the folder (DESIGN section 8).
//!
//! What runs there as another user than the one that logs in is ended where sudo asks for no password.
//! A host without `/proc` counts as uncertain.

use std::{collections::BTreeMap, ffi::OsString, io, path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use chiffon_common::Redactor;
use serde::{Deserialize, Serialize};

use crate::{
    folder::Folder,
    limits::Limits,
    settings::remote_mark,
    supervise::{Cleanup, Spec, Why},
    supervised::Supervised,
};

/// Exits with 0 when nothing is left. It leaves its own session alone, which is where its own words
/// name the folder too, and what the supervisor holds, should the host be the agent's own.
const SCRIPT: &str = r#"
[ -r /proc/self/stat ] || exit 3
mark='tmp/MARK/'
session() { sed 's/.*) //' "$1/stat" 2>/dev/null | cut -d' ' -f4; }
own=$(session /proc/self)
round=0
while :; do
  found=' '
  for p in /proc/[0-9]*; do
    environment=$(tr '\0' '\n' 2>/dev/null < "$p/environ")
    case "$environment" in
      *CHIFFON_RUN=RUN_ID*) continue ;;
      *LC_CHIFFON_RUN=MARK*) ;;
      *) case "$(tr '\0' ' ' 2>/dev/null < "$p/cmdline")" in *"$mark"*) ;; *) continue ;; esac ;;
    esac
    s=$(session "$p")
    case "$s" in ''|0|1|"$own") continue ;; esac
    found="$found$s "
  done
  [ "$found" = ' ' ] && break
  [ "$round" -ge 20 ] && exit 4
  round=$((round + 1))
  for p in /proc/[0-9]*; do
    s=$(session "$p")
    case "$found" in *" ${s:-none} "*) kill -9 "${p##*/}" 2>/dev/null || sudo -n kill -9 "${p##*/}" 2>/dev/null ;; esac
  done
  sleep 0.1 2>/dev/null || sleep 1
done
rm -rf "$HOME/.ansible/${mark%/}"
"#;

/// What is needed to clean up the hosts of a run; kept in its folder for an agent that starts anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cleaner {
    pub(crate) run_id: String,
    /// `ansible`.
    pub(crate) program: PathBuf,
    pub(crate) inventories: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// Without shared connections.
    pub(crate) ssh_args: String,
    /// As the run's: its inventory may hold templates, which are code.
    pub(crate) fence: Vec<String>,
    pub(crate) detached: bool,
}

impl Cleaner {
    fn place(folder: &Folder) -> PathBuf {
        folder.path().join("cleaner.json")
    }

    /// Keeps it.
    pub(crate) fn write(&self, folder: &Folder) -> io::Result<()> {
        folder.write(&Self::place(folder), serde_json::to_vec(self)?)
    }

    /// The one that was kept, if this run had remote hosts and was about to start.
    pub(crate) fn read(folder: &Folder) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::place(folder)).ok()?).ok()
    }

    /// What a supervisor is to run for it.
    pub(crate) fn command(&self) -> Cleanup {
        let mut environment = self.environment.clone();
        // A connection of its own: those of the run may be frozen, or dead and not know it.
        environment.insert("ANSIBLE_SSH_ARGS".to_owned(), self.ssh_args.clone());
        Cleanup {
            program: self.program.clone(),
            arguments: self.arguments(),
            environment,
        }
    }

    /// Cleans up. Whether it is certain that nothing is left on any host.
    pub(crate) async fn clean(
        &self,
        supervisor: &[OsString],
        folder: &Folder,
        limit: Duration,
    ) -> bool {
        match self.try_clean(supervisor, folder, limit).await {
            Ok(clean) => clean,
            Err(error) => {
                tracing::warn!(run = self.run_id, %error, "the hosts of a run cannot be cleaned up");
                false
            }
        }
    }

    async fn try_clean(
        &self,
        supervisor: &[OsString],
        folder: &Folder,
        limit: Duration,
    ) -> io::Result<bool> {
        let end = folder.end("clean");
        // An end of an earlier try would look like this one's.
        let _none_yet = std::fs::remove_file(&end);
        let Cleanup {
            program,
            arguments,
            environment,
        } = self.command();
        let spec = Spec {
            run_id: self.run_id.clone(),
            program,
            arguments,
            folder: folder.bundle(),
            environment,
            end,
            limit_seconds: limit.as_secs() + 1,
            keeps_daemons: false,
            cleanup: None,
            fence: self.fence.clone(),
            detached: self.detached,
            limits: Limits::default(),
        };
        let nothing = Redactor::new(Vec::<String>::new());
        let (mut run, mut speech) =
            Supervised::start(supervisor, folder, "clean", &spec, &nothing)?;
        // Ansible's words are of no use here, but must be read to let it go on.
        let listener = tokio::spawn(async move { while speech.next().await.is_some() {} });
        let ended = tokio::time::timeout(limit, run.ended()).await;
        listener.abort();
        let Ok(end) = ended else {
            run.stop();
            return Ok(false);
        };
        Ok(end.is_some_and(|end| end.why == Why::Ended && end.exit == Some(0) && end.left == 0))
    }

    fn arguments(&self) -> Vec<String> {
        let mut script = SCRIPT
            .replace("MARK", &remote_mark(&self.run_id))
            .replace("RUN_ID", &self.run_id);
        // Without padding there is no `=`, which Ansible would take for an option.
        while !script.len().is_multiple_of(3) {
            script.push('\n');
        }
        let script = BASE64_STANDARD.encode(script);
        let mut arguments = vec!["all".to_owned()];
        for inventory in &self.inventories {
            arguments.extend(["-i".to_owned(), inventory.clone()]);
        }
        arguments
            .extend(["-T", "5", "-f", "20", "-m", "ansible.builtin.raw", "-a"].map(String::from));
        arguments.push(format!("echo {script} | base64 -d | sh"));
        arguments
    }
}
