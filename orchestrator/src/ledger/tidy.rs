//! Keeping the repository in order while it grows (R39): packs of like size are merged into one when there are several,
//! so that whatever its age a look-up passes few packs and each object is copied a few times in all. Loose objects,
//! which earlier versions and pushes leave, are folded into a pack when they are many. Finding deltas is left to `git gc`, which may be run beside it.
//!
//! A merged pack is the bodies of its parts one after the other: what a pack says of places within it is relative, so
//! nothing has to be unpacked. The parts' checksums are held against their content on the way.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read as _},
    path::{Path, PathBuf},
};

use gix::{ObjectId, objs::Kind};

use super::{
    Ledger, LedgerError,
    durable::{create, paths_in, sync_folder},
    pack,
};

/// Packs of one size that are merged into one of the next.
const SEVERAL: usize = 8;
/// A pack with more objects than that is left as it is: its index would no longer be small in memory.
const MOST_OBJECTS: u32 = 1 << 19;
/// The places within a pack have 31 bits.
const MOST_BYTES: u64 = 1 << 30;
/// Loose objects in one of 256 folders from which on they are folded: a few thousand in all.
const MANY_LOOSE: usize = 12;
/// Loose objects folded at once.
const FOLDED: usize = 20_000;
const HEADER: u64 = 12;
const CHECKSUM: u64 = 20;

/// A pack that may be merged.
struct Part {
    path: PathBuf,
    objects: u32,
    bytes: u64,
}

impl Ledger {
    /// Folds and merges what has become many. Loses nothing wherever it is broken off, and may be left out.
    pub fn tidy(&self) -> Result<(), LedgerError> {
        let failed = |error: io::Error| LedgerError::io("keep the ledger in order", &error);
        let objects = self.repository.git_dir().join("objects");
        let sample = loose_in(&objects.join("17"), "17").map_err(failed)?;
        if sample.len() >= MANY_LOOSE {
            self.fold(&objects)?;
        }
        let folder = objects.join("pack");
        while let Some(parts) = next_parts(&folder).map_err(failed)? {
            merge(&folder, &parts).map_err(failed)?;
        }
        Ok(())
    }

    fn fold(&self, objects: &Path) -> Result<(), LedgerError> {
        let failed = |error: io::Error| LedgerError::io("fold loose objects", &error);
        let mut found: Vec<(ObjectId, Kind, Vec<u8>)> = Vec::new();
        let mut files = Vec::new();
        for shard in 0..=u8::MAX {
            let shard = format!("{shard:02x}");
            for (id, path) in loose_in(&objects.join(&shard), &shard).map_err(failed)? {
                let object = self.repository.find_object(id);
                let object = object.map_err(|error| LedgerError::object(&id, &error))?;
                found.push((id, object.kind, object.data.clone()));
                files.push(path);
            }
            if found.len() >= FOLDED {
                break;
            }
        }
        if !found.is_empty() {
            pack::write(objects, found).map_err(failed)?;
        }
        for file in files {
            // Beside a `git gc`, which did the same.
            let _gone_already = fs::remove_file(file);
        }
        Ok(())
    }
}

/// The loose objects of one folder.
pub(super) fn loose_in(folder: &Path, shard: &str) -> io::Result<Vec<(ObjectId, PathBuf)>> {
    let mut found = Vec::new();
    for path in paths_in(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Ok(id) = ObjectId::from_hex(format!("{shard}{name}").as_bytes()) {
            found.push((id, path));
        }
    }
    Ok(found)
}

/// Packs that are to become one: the several smallest of one size.
fn next_parts(folder: &Path) -> io::Result<Option<Vec<Part>>> {
    let mut sizes: Vec<Vec<Part>> = Vec::new();
    for path in paths_in(folder)? {
        let Some(part) = part(path)? else {
            continue;
        };
        let size = part.objects.max(1).ilog(8) as usize;
        if sizes.len() <= size {
            sizes.resize_with(size + 1, Vec::new);
        }
        if let Some(parts) = sizes.get_mut(size) {
            parts.push(part);
        }
    }
    let several = sizes.into_iter().find(|parts| parts.len() >= SEVERAL);
    Ok(several.map(|mut parts| {
        parts.sort_by(|a, b| a.path.cmp(&b.path));
        parts.truncate(SEVERAL);
        parts
    }))
}

/// A pack with its index and nothing else beside it, which git or a person may have put there for a reason.
fn part(path: PathBuf) -> io::Result<Option<Part>> {
    let is_pack = path.extension().is_some_and(|one| one == "pack");
    let others = ["keep", "promisor", "bitmap", "mtimes", "rev"];
    if !is_pack || others.iter().any(|one| path.with_extension(one).exists()) {
        return Ok(None);
    }
    let bytes = fs::metadata(&path)?.len();
    let mut head = [0; 8];
    let mut file = File::open(&path)?;
    if bytes < HEADER + CHECKSUM || bytes > MOST_BYTES / SEVERAL as u64 {
        return Ok(None);
    }
    file.read_exact(&mut head)?;
    let mut count = [0; 4];
    file.read_exact(&mut count)?;
    let objects = u32::from_be_bytes(count);
    let fits = head == *b"PACK\0\0\0\x02" && objects <= MOST_OBJECTS / SEVERAL as u32;
    let has_index = path.with_extension("idx").exists();
    Ok((fits && has_index).then_some(Part {
        path,
        objects,
        bytes,
    }))
}

/// Makes one pack of these, and removes them once it is safe.
fn merge(folder: &Path, parts: &[Part]) -> io::Result<()> {
    // One name: what a crash leaves is overwritten.
    let unfinished = folder.join("tmp_pack_merged");
    let mut out = Hashed::new(BufWriter::with_capacity(1 << 16, create(&unfinished)?));
    let count = parts.iter().map(|part| part.objects).sum::<u32>();
    out.put(b"PACK\0\0\0\x02")?;
    out.put(&count.to_be_bytes())?;
    let mut packed = Vec::with_capacity(count as usize);
    let mut at = HEADER;
    for part in parts {
        let index = fs::read(part.path.with_extension("idx"))?;
        packed.extend(pack::read_index(&index, (at - HEADER) as u32)?);
        copy_body(part, &mut out)?;
        at += part.bytes - HEADER - CHECKSUM;
    }
    packed.sort_by_key(|one| (one.id, one.offset));
    let (file, checksum) = out.finish()?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    pack::seal(file)?;
    let index = pack::index(&packed, checksum)?;
    let name = format!("pack-{}", checksum.to_hex());
    fs::rename(unfinished, folder.join(format!("{name}.pack")))?;
    pack::put(folder, &format!("{name}.idx"), &index)?;
    sync_folder(folder)?;
    for part in parts {
        // Without its index a pack is not seen; so nobody meets an index without its pack.
        fs::remove_file(part.path.with_extension("idx"))?;
        fs::remove_file(&part.path)?;
    }
    Ok(())
}

/// Copies what lies between header and checksum, and holds the checksum against what was read.
fn copy_body<W: io::Write>(part: &Part, out: &mut Hashed<W>) -> io::Result<()> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(&part.path)?);
    let mut read = Hashed::new(io::sink());
    let mut header = [0; HEADER as usize];
    file.read_exact(&mut header)?;
    read.put(&header)?;
    let mut rest = part.bytes - HEADER - CHECKSUM;
    let mut buffer = vec![0; 1 << 16];
    while rest > 0 {
        let most = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let Some(piece) = buffer.get_mut(..most) else {
            break;
        };
        file.read_exact(piece)?;
        read.put(piece)?;
        out.put(piece)?;
        rest -= most as u64;
    }
    let mut stored = [0; CHECKSUM as usize];
    file.read_exact(&mut stored)?;
    match read.checksum()?.as_slice() == stored {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{} is damaged: its content does not fit its checksum",
            part.path.display()
        ))),
    }
}

/// Writes through, with the checksum of all that was written.
struct Hashed<W> {
    out: W,
    hasher: gix::hash::Hasher,
}

impl<W: io::Write> Hashed<W> {
    fn new(out: W) -> Self {
        let hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        Self { out, hasher }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }

    fn checksum(self) -> io::Result<ObjectId> {
        self.end().map(|(_, checksum)| checksum)
    }

    fn end(self) -> io::Result<(W, ObjectId)> {
        let checksum = self.hasher.try_finalize();
        let checksum = checksum.map_err(|error| io::Error::other(error.to_string()))?;
        Ok((self.out, checksum))
    }

    /// With the checksum as its last bytes.
    fn finish(self) -> io::Result<(W, ObjectId)> {
        let (mut out, checksum) = self.end()?;
        out.write_all(checksum.as_slice())?;
        Ok((out, checksum))
    }
}
