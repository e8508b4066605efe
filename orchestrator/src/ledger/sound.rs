//! Whether the files in which git keeps objects are what git can read. The objects of each batch are read by
//! `verify`; but gix reads them also from a pack whose end is gone, and what nothing asks for is read by nobody. So the
//! files are held against themselves: [`Ledger::shape`] looks at beginning and end of each pack, cheaply enough for every
//! write, and [`Ledger::sound`] reads everything, as `git fsck` does.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use gix::{
    ObjectId,
    zlib::{Decompress, FlushDecompress, Status},
};

use super::{Ledger, LedgerError, durable::paths_in, tidy::loose_in};

/// Deeper than any folder of a repository that we or git make.
const DEEPEST: usize = 16;
/// Length of a checksum; whatever git hashes while it writes ends with one.
const CHECKSUM: u64 = 20;
/// A pack of nothing: header and checksum.
const SHORTEST: u64 = 12 + CHECKSUM;
/// Where an index says how many objects it has.
const COUNT: u64 = 8 + 255 * 4;
/// Which files beside a pack end with a checksum over all before it.
const HASHED: [&str; 6] = ["pack", "idx", "rev", "bitmap", "mtimes", "graph"];

/// What does not fit, in words; nothing where it fits, or is gone meanwhile, as a pack that was merged.
type Found = io::Result<Option<String>>;

/// Whether all that is read of a repository is made of files and folders: whoever opened a pipe would wait for ever. Told by
/// the kinds that stand in the folders, so that nothing is opened.
pub(super) fn of_files(repository: &Path) -> Result<(), LedgerError> {
    let failed = |error: io::Error| LedgerError::io("look at the ledger's files", &error);
    for entry in fs::read_dir(repository).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let is_read = ["objects", "refs", "info"]
            .iter()
            .any(|name| entry.file_name() == *name);
        let found = match kind.is_dir() {
            true if is_read => first_special(&entry.path(), DEEPEST),
            true => Ok(None),
            false => Ok(is_special(&entry.path()).then(|| entry.path())),
        };
        if let Some(path) = found.map_err(failed)? {
            let file = path.strip_prefix(repository).unwrap_or(&path);
            let file = file.display().to_string();
            let why = "it is no file".to_owned();
            return Err(LedgerError::File { file, why });
        }
    }
    Ok(())
}

/// The first that is neither a file nor a folder, a folder's own first.
fn first_special(folder: &Path, depth: usize) -> io::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        // A folder that was merged away meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let found = match kind.is_dir() {
            true if depth == 0 => None,
            true => first_special(&entry.path(), depth - 1)?,
            false if kind.is_file() => None,
            false => is_special(&entry.path()).then(|| entry.path()),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Through links, as whoever opens it; what is gone is none.
fn is_special(path: &Path) -> bool {
    let kind = fs::metadata(path).map(|meta| meta.file_type());
    kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir())
}

impl Ledger {
    /// Whether each pack begins and ends as its index says. Reads a few bytes of each.
    pub fn shape(&self) -> Result<(), LedgerError> {
        self.each(&["pack"], |folder| {
            let found = each_file(folder, |path| match extension(path) {
                Some("idx") => fits_pack(path),
                _ => Ok(None),
            })?;
            Ok(found.map(|(index, why)| (index.with_extension("pack"), why)))
        })
    }

    /// Whether every file below `objects` is whole: packs with all that lies beside them by the checksums at their ends,
    /// loose objects by their names. Reads everything.
    pub fn sound(&self) -> Result<(), LedgerError> {
        self.shape()?;
        self.each(&["pack", "info", "info/commit-graphs"], |folder| {
            each_file(folder, |path| match extension(path) {
                Some(one) if HASHED.contains(&one) => fits_checksum(path),
                None if is_named(path, &["multi-pack-index", "commit-graph"]) => {
                    fits_checksum(path)
                }
                _ => Ok(None),
            })
        })?;
        self.loose_objects()
    }

    /// The first file that does not fit, in these folders.
    fn each(
        &self,
        folders: &[&str],
        look: impl Fn(&Path) -> io::Result<Option<(PathBuf, String)>>,
    ) -> Result<(), LedgerError> {
        let objects = self.repository.git_dir().join("objects");
        for folder in folders {
            let found = look(&objects.join(folder));
            match found.map_err(|error| LedgerError::io("look at the ledger's packs", &error))? {
                Some((path, why)) => return Err(self.damaged(&path, why)),
                None => continue,
            }
        }
        Ok(())
    }

    fn loose_objects(&self) -> Result<(), LedgerError> {
        let failed = |error: io::Error| LedgerError::io("list loose objects", &error);
        let objects = self.repository.git_dir().join("objects");
        for shard in 0..=u8::MAX {
            let shard = format!("{shard:02x}");
            for (id, path) in loose_in(&objects.join(&shard), &shard).map_err(failed)? {
                match fits_name(&path, id) {
                    Ok(true) => {}
                    Ok(false) => {
                        let why = "it does not hold the object of its name".to_owned();
                        return Err(self.damaged(&path, why));
                    }
                    // Folded into a pack meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        Ok(())
    }

    fn damaged(&self, path: &Path, why: String) -> LedgerError {
        let file = path.strip_prefix(self.repository.git_dir()).unwrap_or(path);
        let file = file.display().to_string();
        LedgerError::File { file, why }
    }
}

/// The first file of a folder that does not fit. A folder that is not there holds none.
fn each_file(
    folder: &Path,
    look: impl Fn(&Path) -> Found,
) -> io::Result<Option<(PathBuf, String)>> {
    for path in paths_in(folder)? {
        // What git and we do not finish has such a name, and is read by nobody.
        let is_unfinished = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("tmp_"));
        if is_unfinished || path.is_dir() {
            continue;
        }
        match look(&path) {
            Ok(Some(why)) => return Ok(Some((path, why))),
            Ok(None) => {}
            // A pack that was merged is gone with all its files.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether the pack of this index begins and ends as the index says.
fn fits_pack(index: &Path) -> Found {
    let path = index.with_extension("pack");
    let pack = match Ends::read(&path, SHORTEST, 12, 0) {
        Ok(pack) => pack,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The index goes first, so that this is none of ours that is being merged.
            return Ok(index
                .exists()
                .then(|| "it is missing, and its index is there".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let index = Ends::read(index, COUNT + 4 + 2 * CHECKSUM, 4, COUNT)?;
    let (Some(pack), Some(index)) = (pack, index) else {
        return Ok(Some("it or its index is cut off".to_owned()));
    };
    let is_pack = matches!(
        pack.begin.get(..8),
        Some(b"PACK\0\0\0\x02" | b"PACK\0\0\0\x03")
    );
    if !is_pack {
        return Ok(Some("it does not begin as a pack does".to_owned()));
    }
    if pack.begin.get(8..) != Some(index.begin.as_slice()) {
        let why = "it says another number of objects than its index";
        return Ok(Some(why.to_owned()));
    }
    let is_cut = pack.end.get(CHECKSUM as usize..) != index.end.get(..CHECKSUM as usize);
    Ok(is_cut.then(|| "it does not end with the checksum that its index names".to_owned()))
}

/// Some bytes from the beginning of a file, and its last two checksums.
struct Ends {
    begin: Vec<u8>,
    end: Vec<u8>,
}

impl Ends {
    /// `count` bytes from `at`; nothing where the file is shorter than `least`. Of a file with one checksum only that one
    /// counts.
    fn read(path: &Path, least: u64, count: usize, at: u64) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length < least.max(at + count as u64) {
            return Ok(None);
        }
        let (mut begin, mut end) = (vec![0; count], vec![0; 2 * CHECKSUM as usize]);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut begin)?;
        let from = length.saturating_sub(2 * CHECKSUM);
        file.seek(SeekFrom::Start(from))?;
        // The shortest pack has less than two checksums' length: what it lacks stands before.
        let lacks = (2 * CHECKSUM).saturating_sub(length) as usize;
        if let Some(end) = end.get_mut(lacks..) {
            file.read_exact(end)?;
        }
        Ok(Some(Self { begin, end }))
    }
}

/// Whether a file ends with the checksum of all that stands before.
fn fits_checksum(path: &Path) -> Found {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let Some(mut rest) = length.checked_sub(CHECKSUM) else {
        return Ok(Some("it is cut off".to_owned()));
    };
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    let mut buffer = vec![0; 1 << 16];
    while rest > 0 {
        let most = usize::try_from(rest).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let Some(piece) = buffer.get_mut(..most) else {
            break;
        };
        file.read_exact(piece)?;
        hasher.update(piece);
        rest -= most as u64;
    }
    let mut stored = [0; CHECKSUM as usize];
    file.read_exact(&mut stored)?;
    let is = hasher.try_finalize();
    let is = is.map_err(|error| io::Error::other(error.to_string()))?;
    let fits = is == ObjectId::from(stored);
    Ok((!fits).then(|| "its content does not fit the checksum at its end".to_owned()))
}

/// Whether a loose object is one whole stream, and what is in it has this name. gix does not miss the end of the stream.
fn fits_name(path: &Path, id: ObjectId) -> io::Result<bool> {
    let file = fs::read(path)?;
    let mut inflate = Decompress::new();
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (read, made) = (inflate.total_in(), inflate.total_out());
        let rest = file.get(read as usize..).unwrap_or_default();
        let Ok(status) = inflate.decompress(rest, &mut buffer, FlushDecompress::None) else {
            return Ok(false);
        };
        let made = (inflate.total_out() - made) as usize;
        hasher.update(buffer.get(..made).unwrap_or_default());
        match status {
            Status::StreamEnd => break,
            _ if made == 0 && inflate.total_in() == read => return Ok(false),
            _ => {}
        }
    }
    let is = hasher.try_finalize();
    let is = is.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(is == id && inflate.total_in() == file.len() as u64)
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

fn is_named(path: &Path, names: &[&str]) -> bool {
    path.file_name()
        .is_some_and(|name| names.iter().any(|one| name == *one))
}
