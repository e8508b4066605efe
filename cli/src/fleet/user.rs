//! Who runs the program, by the system's own list and not by what the environment says.

use std::path::PathBuf;

/// One line of the list of users.
struct User {
    name: String,
    home: PathBuf,
}

/// The name, or the number where the list has none.
pub fn name() -> String {
    let number = number();
    listed(number).map_or_else(|| number.to_string(), |user| user.name)
}

/// The home folder, where there is one.
pub fn home() -> Option<PathBuf> {
    let told = std::env::var_os("HOME").map(PathBuf::from);
    told.filter(|path| path.is_absolute())
        .or_else(|| listed(number()).map(|user| user.home))
}

fn number() -> u32 {
    rustix::process::getuid().as_raw()
}

fn listed(number: u32) -> Option<User> {
    let list = std::fs::read_to_string("/etc/passwd").ok()?;
    list.lines().find_map(|line| user(line, number))
}

/// `name:x:number:group:words:home:shell`.
fn user(line: &str, number: u32) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, _, _, home, ..] = fields.as_slice() else {
        return None;
    };
    (uid.parse() == Ok(number)).then(|| User {
        name: (*name).to_owned(),
        home: PathBuf::from(home),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let line = "ada:x:1000:1000:Ada,,,:/home/ada:/bin/bash";
        let found = user(line, 1000).unwrap();
        assert_eq!(
            (found.name.as_str(), found.home),
            ("ada", "/home/ada".into())
        );
        assert!(user(line, 1001).is_none());
        assert!(user("broken", 1000).is_none());
    }
}
