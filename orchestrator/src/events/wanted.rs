//! Which events a reader wants: those of one project, those of some types or of a prefix such as `bead.`.

use chiffon_common::ProjectId;

use super::Event;

/// Most types in one filter: more than there are names.
const MOST: usize = 32;

/// A filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    project_id: Option<ProjectId>,
    types: Vec<String>,
}

impl Wanted {
    /// `types` is a list with commas; one that ends with a dot means all that begin so. The error is a sentence.
    pub(crate) fn new(
        project_id: Option<ProjectId>,
        types: Option<&str>,
    ) -> Result<Self, &'static str> {
        let types: Vec<String> = types
            .into_iter()
            .flat_map(|types| types.split(','))
            .map(|one| one.trim().to_owned())
            .collect();
        let is_name = |name: &String| {
            let is_permitted = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.');
            !name.is_empty() && name.len() <= 64 && name.chars().all(is_permitted)
        };
        if types.len() > MOST {
            return Err("at most 32 types are permitted");
        }
        if !types.iter().all(is_name) {
            return Err(
                "a type is made of lower-case letters, _ and dots, such as bead.created or bead.",
            );
        }
        Ok(Self { project_id, types })
    }

    /// Whether it is one of them.
    pub(crate) fn takes(&self, event: &Event) -> bool {
        let project_fits = match &self.project_id {
            Some(project) => event.project_id.as_ref() == Some(project),
            None => true,
        };
        let type_fits = |wanted: &String| match wanted.ends_with('.') {
            true => event.view.kind.starts_with(wanted.as_str()),
            false => event.view.kind == *wanted,
        };
        project_fits && (self.types.is_empty() || self.types.iter().any(type_fits))
    }
}

#[cfg(test)]
mod tests {
    use chiffon_common::api::EventView;

    use super::*;

    fn event(kind: &str, project: Option<&str>) -> Event {
        let view = EventView {
            id: "evt-1".to_owned(),
            kind: kind.to_owned(),
            timestamp: jiff::Timestamp::UNIX_EPOCH,
            data: serde_json::Map::new(),
        };
        Event::new(1, project.map(|project| project.parse().unwrap()), view)
    }

    #[test]
    fn names_prefixes_and_projects_are_filtered_by() {
        let wanted = |project: Option<&str>, types| {
            Wanted::new(project.map(|project| project.parse().unwrap()), types).unwrap()
        };
        assert!(wanted(None, None).takes(&event("x", None)));
        assert!(wanted(None, Some("bead.")).takes(&event("bead.created", None)));
        assert!(!wanted(None, Some("bead")).takes(&event("bead.created", None)));
        assert!(wanted(None, Some("a.b,bead.created")).takes(&event("bead.created", None)));
        assert!(!wanted(Some("lab"), None).takes(&event("bead.created", None)));
        assert!(!wanted(Some("lab"), None).takes(&event("bead.created", Some("home"))));
        assert!(wanted(Some("lab"), Some("bead.")).takes(&event("bead.created", Some("lab"))));
        for bad in ["", "Bead.", "a b", "a,,b", "a\nb"] {
            assert!(Wanted::new(None, Some(bad)).is_err(), "{bad:?}");
        }
    }
}
