//! What happens to the ledger from outside while the program works: somebody proposes an undo, a disk rots.

use std::path::Path;

use super::{
    cell::Cell,
    dice::Dice,
    history::{About, End},
};

/// Runs git in a folder as somebody; nothing where it fails, which under load it may.
fn git(folder: &Path, args: &[&str]) -> Option<String> {
    let output = chiffon_tests::git(folder, args);
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(said)
}

impl Cell {
    /// Makes a change that has a way back, and pushes its revert as a person would; whether that came to pass.
    pub async fn propose_an_undo(&self, name: &str, dice: &mut Dice) -> bool {
        let Some((request, commit)) = self.load.write_on("alpha", dice).await else {
            return false;
        };
        let (ledger, clone) = (
            self.yard.home.path().join("ledger"),
            self.yard.home.scratch().join(name),
        );
        let place = |path: &Path| path.to_str().unwrap().to_owned();
        let about = About {
            kind: "undo".to_owned(),
            key: Some(format!("proposal-{name}")),
            id: Some(request),
            ..About::default()
        };
        let no = self.history.invoke(about);
        let pushed = git(
            self.yard.home.scratch(),
            &["clone", "-q", &place(&ledger), &place(&clone)],
        )
        .and_then(|_| git(&clone, &["revert", "--no-edit", &commit]))
        .and_then(|_| {
            git(
                &clone,
                &[
                    "push",
                    "-q",
                    "origin",
                    &format!("HEAD:refs/heads/propose/{name}"),
                ],
            )
        });
        self.history.end(no, End::Info, 0, serde_json::Value::Null);
        pushed.is_some()
    }

    /// Pushes what is no revert.
    pub fn propose_nonsense(&self, name: &str) -> bool {
        let ledger = self.yard.home.path().join("ledger");
        let made = git(
            &ledger,
            &["commit-tree", "-m", "Something of my own", "main^{tree}"],
        );
        made.and_then(|commit| {
            git(
                &ledger,
                &["update-ref", &format!("refs/heads/propose/{name}"), &commit],
            )
        })
        .is_some()
    }

    /// Bits of the newest commit have flipped on the disk.
    pub fn rot_the_ledger(&self) -> bool {
        let ledger = self.yard.home.path().join("ledger");
        chiffon_tests::rot(&ledger, "main").is_ok()
    }
}
