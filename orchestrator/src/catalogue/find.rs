//! Entries by their name, and what is said to a name that is none.

use chiffon_common::{ErrorCode, Problem};

use super::{entry::Entry, load::Catalogue, metadata::nearest};

impl Catalogue {
    /// An entry, or the problem that names the nearest one.
    pub fn find(&self, id: &str) -> Result<&Entry, Problem> {
        self.get(id).ok_or_else(|| {
            let shown: String = id.chars().take(80).collect();
            let detail = format!("the catalogue has no entry {shown:?}");
            // Its entries bear its name.
            let of_lost = |(name, _): &&(String, Problem)| {
                let rest = id.strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.starts_with('_'))
            };
            if let Some((name, why)) = self.lost.iter().find(of_lost) {
                let detail = format!("{detail}: nothing of {name} is read, {}", why.detail);
                return Problem::new(ErrorCode::UnknownEntry, detail, why.todo.clone());
            }
            let todo = match self.near(id) {
                Some(near) => format!("did you mean {near}? `chiffon catalogue list` shows all"),
                None => "`chiffon catalogue list` shows all entries".to_owned(),
            };
            Problem::new(ErrorCode::UnknownEntry, detail, todo)
        })
    }

    /// The entry that somebody may have meant: one that has the word in its name, or is written much like it.
    fn near(&self, id: &str) -> Option<&str> {
        let listed = self.entries().filter(|entry| entry.listed);
        let of_word = listed.map(|entry| entry.id.as_str());
        let of_word: Vec<&str> = of_word
            .filter(|known| known.split('_').any(|part| part == id))
            .collect();
        let all = || nearest(id, self.entries().map(|entry| entry.id.as_str()));
        match of_word[..] {
            [only] => Some(only),
            [first, ..] => nearest(id, of_word).or(Some(first)),
            [] => all(),
        }
    }

    /// An entry that somebody asks for, or the problem: there is none, or it only checks the work of others.
    pub fn find_asked(&self, id: &str) -> Result<&Entry, Problem> {
        let entry = self.find(id)?;
        if !entry.verifies_only {
            return Ok(entry);
        }
        let detail = format!(
            "{} only checks the work of other entries, and cannot be asked for",
            entry.id
        );
        let todo = "name the check under `verify` in the metadata of an entry";
        Err(Problem::new(ErrorCode::UnknownEntry, detail, todo))
    }
}
