//! Fetching one commit with git, into a bare repository, and reading its files from git's objects.
//!
//! No working tree is written, so no filter, hook, link or odd file name of the repository takes effect. Which files
//! mean what is left to `layout`.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use chiffon_common::{ErrorCode, Problem, visible};

use super::super::tree::{MAX_FILE_BYTES, MAX_FILES, MAX_TREE_BYTES, Tree, is_odd_name};
use super::unusable;

/// How long fetching may take.
const FETCH: Duration = Duration::from_secs(300);
/// How long git may take with what is on the disk.
const READ: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// The most that fetching may write.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// How many links may lead to each other.
const MAX_LINKS: usize = 16;

/// One file as git lists it.
struct Listed {
    path: String,
    mode: String,
    id: String,
    size: u64,
}

/// The files of a commit and the commit, fetched into this empty folder.
pub(super) fn fetch(
    from: &str,
    reference: Option<&str>,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Tree, String), Problem> {
    let run = |at: &Path, arguments: &[&OsStr], input: Option<&str>, limit| {
        run(
            Git {
                scratch,
                stop,
                limit,
            },
            at,
            arguments,
            input,
        )
    };
    let bare = scratch.join("bare.git");
    let init: [&OsStr; 5] = [
        "init".as_ref(),
        "--quiet".as_ref(),
        "--bare".as_ref(),
        "--template=".as_ref(),
        bare.as_os_str(),
    ];
    run(scratch, &init, None, READ)?;
    let refspec = format!("{}:refs/chiffon/pinned", reference.unwrap_or("HEAD"));
    let get = [
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-write-fetch-head",
        "--",
        from,
        refspec.as_str(),
    ];
    run(&bare, &get.map(OsStr::new), None, FETCH)?;
    let parse = ["rev-parse", "--verify", "refs/chiffon/pinned^{commit}"];
    let commit = run(&bare, &parse.map(OsStr::new), None, READ)?;
    let commit = String::from_utf8_lossy(&commit).trim().to_owned();
    let list = ["ls-tree", "-r", "-l", "-z", "--full-tree", commit.as_str()];
    let listed = run(&bare, &list.map(OsStr::new), None, READ)?;
    let (mut tree, taken) = chosen(&listed);
    if tree.overflow.is_some() {
        return Ok((tree, commit));
    }
    let ids: String = taken.iter().map(|one| format!("{}\n", one.id)).collect();
    let batch = ["cat-file", "--batch"].map(OsStr::new);
    let contents = run(&bare, &batch, Some(&ids), READ)?;
    fill(&mut tree, taken, &contents)?;
    Ok((tree, commit))
}

/// How git is run: where its files lie, what ends it early, how long it may take.
#[derive(Clone, Copy)]
struct Git<'a> {
    scratch: &'a Path,
    stop: &'a AtomicBool,
    limit: Duration,
}

/// The files that are taken, of what git lists; the tree holds what is not, with the reason.
fn chosen(listed: &[u8]) -> (Tree, Vec<Listed>) {
    let mut tree = Tree::of_repository();
    let mut taken: Vec<Listed> = Vec::new();
    let mut bytes = 0;
    for one in listed
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty())
    {
        let Some(one) = listed_one(&String::from_utf8_lossy(one)) else {
            continue;
        };
        if one.path.split('/').any(|part| part.starts_with('.')) {
            continue;
        }
        if taken.len() + tree.refused.len() >= MAX_FILES {
            tree.overflow = Some(format!("the repository holds more than {MAX_FILES} files"));
            return (tree, taken);
        }
        let reason = match one.mode.as_str() {
            _ if is_odd_name(&one.path) => "the file name is not permitted",
            "160000" => "is a submodule: add that repository by itself",
            _ if one.size > MAX_FILE_BYTES => "the file is larger than 1 MiB",
            _ => {
                bytes += one.size;
                taken.push(one);
                continue;
            }
        };
        tree.refuse(&visible(&one.path), reason);
    }
    if bytes > MAX_TREE_BYTES {
        tree.overflow = Some("the repository holds more than 64 MiB".to_owned());
    }
    (tree, taken)
}

/// Puts the contents into the tree, in the order in which they were asked for.
fn fill(tree: &mut Tree, taken: Vec<Listed>, contents: &[u8]) -> Result<(), Problem> {
    let mut rest = contents;
    let mut links = BTreeMap::new();
    for one in taken {
        let content;
        (content, rest) = next_content(rest)
            .ok_or_else(|| unusable("git does not give its files", "look at it with `git fsck`"))?;
        match one.mode.as_str() {
            "120000" => drop(links.insert(one.path, String::from_utf8_lossy(content).into_owned())),
            _ if content.starts_with(b"version https://git-lfs.github.com/") => {
                tree.refuse(&one.path, "is kept in Git LFS, which is not fetched");
            }
            mode => tree.add(&one.path, mode == "100755", content.to_vec()),
        }
    }
    follow(&links, tree);
    Ok(())
}

/// `<mode> <type> <id> <size>\t<path>`
fn listed_one(line: &str) -> Option<Listed> {
    let (about, path) = line.split_once('\t')?;
    let mut words = about.split_whitespace();
    let mode = words.next()?.to_owned();
    let id = words.nth(1)?.to_owned();
    let size = words.next()?.parse().unwrap_or(0);
    Some(Listed {
        path: path.to_owned(),
        mode,
        id,
        size,
    })
}

/// `<id> <type> <size>\n<content>\n`
fn next_content(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let size: usize = head.rsplit(' ').next()?.parse().ok()?;
    let rest = &bytes[end + 1..];
    Some((rest.get(..size)?, rest.get(size + 1..)?))
}

/// A link is the file, or the files of the folder, that it names within the repository.
fn follow(links: &BTreeMap<String, String>, tree: &mut Tree) {
    for link in links.keys() {
        match target(link, links) {
            Err(why) => tree.refuse(link, why),
            Ok(path) => {
                if let Some(file) = tree.files.get(&path).cloned() {
                    tree.files.insert(link.clone(), file);
                    continue;
                }
                let prefix = format!("{path}/");
                let inside = link.starts_with(&prefix);
                let below: Vec<_> = tree
                    .files
                    .range(prefix.clone()..)
                    .take_while(|(path, _)| path.starts_with(&prefix))
                    .map(|(path, file)| (format!("{link}/{}", &path[prefix.len()..]), file.clone()))
                    .collect();
                if inside {
                    tree.refuse(link, "the link leads in a circle");
                } else if below.is_empty() {
                    tree.refuse(link, "the link leads to nothing that was read");
                } else if tree.files.len() + below.len() > MAX_FILES {
                    tree.refuse(link, "the link would make too many files");
                } else {
                    tree.files.extend(below);
                }
            }
        }
    }
}

fn target(link: &str, links: &BTreeMap<String, String>) -> Result<String, &'static str> {
    let mut at = link.to_owned();
    for _ in 0..MAX_LINKS {
        let Some(to) = links.get(&at) else {
            return Ok(at);
        };
        if to.starts_with('/') {
            return Err("the link leaves the repository");
        }
        let mut parts: Vec<&str> = at.split('/').collect();
        parts.pop();
        for part in to.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or("the link leaves the repository")?;
                }
                part => parts.push(part),
            }
        }
        at = parts.join("/");
    }
    Err("the link leads in a circle")
}

/// Runs git to its end and gives what it wrote. Its files grow to a bound, its time has one, and it asks nobody.
fn run(
    git: Git<'_>,
    at: &Path,
    arguments: &[&OsStr],
    input: Option<&str>,
) -> Result<Vec<u8>, Problem> {
    let scratch = git.scratch;
    let io = |error: std::io::Error| super::cannot_keep(scratch, &error);
    let (out, err, given) = (
        scratch.join("out"),
        scratch.join("err"),
        scratch.join("given"),
    );
    let input = match input {
        None => Stdio::null(),
        Some(text) => {
            File::create(&given)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(io)?;
            File::open(&given).map_err(io)?.into()
        }
    };
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "ulimit -f 1048576; exec git \"$@\"", "git"])
        .args([
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
        ])
        .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
        .args(["-c", "credential.helper="])
        .args(arguments)
        .current_dir(at)
        .env_clear()
        .envs(kept_environment())
        .envs([
            ("LC_ALL", "C"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ALLOW_PROTOCOL", "https:ssh:file"),
            ("GIT_ASKPASS", "/bin/false"),
            ("SSH_ASKPASS", "/bin/false"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            (
                "GIT_SSH_COMMAND",
                "ssh -o BatchMode=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=yes",
            ),
        ])
        .process_group(0)
        .stdin(input)
        .stdout(File::create(&out).map_err(io)?)
        .stderr(File::create(&err).map_err(io)?);
    let child = command.spawn().map_err(|error| {
        let detail = format!("git cannot be started: {error}");
        let todo = "install git; or clone the repository yourself, and add the folder";
        Problem::new(ErrorCode::RepositoryUnusable, detail, todo)
    })?;
    let ended = wait(child, git)?;
    if !ended.success() {
        return Err(failed(&err, ended));
    }
    fs::read(&out).map_err(io)
}

/// What git said, as a problem.
fn failed(err: &Path, ended: ExitStatus) -> Problem {
    let said = fs::read(err).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let said: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let said: String = said.join("; ").chars().take(400).collect();
    let why = match said.is_empty() {
        true => ended.to_string(),
        false => visible(&said),
    };
    let todo = "look at address, branch and rights with `git ls-remote`; a repository that wants a password is \
                    cloned by yourself, and the folder added";
    unusable(format!("git cannot fetch the repository: {why}"), todo)
}

/// What ssh needs to find a person's keys, and nothing else.
fn kept_environment() -> Vec<(&'static str, std::ffi::OsString)> {
    let names = ["PATH", "HOME", "SSH_AUTH_SOCK"];
    let found = names.into_iter();
    found
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .collect()
}

/// Waits for its end; what takes too long or writes too much is ended with all it started.
fn wait(mut child: Child, git: Git<'_>) -> Result<ExitStatus, Problem> {
    let begun = Instant::now();
    loop {
        let ended = child
            .try_wait()
            .map_err(|error| unusable(format!("git cannot be waited for: {error}"), "try again"))?;
        if let Some(ended) = ended {
            return Ok(ended);
        }
        let reason = match () {
            () if git.stop.load(Ordering::Relaxed) => "it was stopped".to_owned(),
            () if begun.elapsed() > git.limit => {
                format!("git took longer than {} s", git.limit.as_secs())
            }
            () if size(git.scratch, 0) > MAX_BYTES => "it is larger than 512 MiB".to_owned(),
            () => {
                std::thread::sleep(LOOK);
                continue;
            }
        };
        let _gone = Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", child.id())])
            .stderr(Stdio::null())
            .status();
        let _gone = child.kill();
        let _ended = child.wait();
        let todo = "clone it yourself, and add the folder with the Ansible files";
        let detail = format!("the repository cannot be fetched: {reason}");
        return Err(Problem::new(ErrorCode::RepositoryTooLarge, detail, todo));
    }
}

fn size(folder: &Path, depth: usize) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() && depth < 8 => size(&entry.path(), depth + 1),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
