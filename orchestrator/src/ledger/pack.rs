//! Objects as one git pack with its index (git's pack format 2, no deltas). Whatever is written at once costs two
//! files this way instead of fifteen for each commit, and as few syncs. Merging packs is left to `tidy`.
//!
//! gix can index packs that it receives, but makes new ones only behind a feature that brings its diff and
//! traversal crates, to find deltas that a ledger's small files do not repay.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use gix::{
    ObjectId,
    objs::Kind,
    zlib::{
        Compression, Status,
        stream::deflate::{Compress, FlushCompress},
    },
};

/// How much room an object's compressed form is given at a time.
const ROOM: usize = 4096;

/// An object with its place in the pack.
pub(super) struct Packed {
    pub(super) id: ObjectId,
    crc32: u32,
    pub(super) offset: u32,
}

/// Writes these objects as one pack into the repository's `objects/pack`. The same objects give the same
/// files, so that doing it again is harmless.
pub(super) fn write(
    objects_folder: &Path,
    mut objects: Vec<(ObjectId, Kind, Vec<u8>)>,
) -> io::Result<()> {
    // The index wants this order, and with it the pack depends on its content only.
    objects.sort_by_key(|(id, ..)| *id);
    let (pack, packed, checksum) = pack(&objects)?;
    let index = index(&packed, checksum)?;
    let folder = objects_folder.join("pack");
    fs::create_dir_all(&folder)?;
    let name = format!("pack-{}", checksum.to_hex());
    // A pack without its index is not seen; the other way round would be a damaged repository.
    put(&folder, &format!("{name}.pack"), &pack)?;
    put(&folder, &format!("{name}.idx"), &index)?;
    File::open(&folder)?.sync_all()
}

/// A file that has its name only when its content is safe.
pub(super) fn put(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!("tmp_{name}"));
    let written = super::durable::create(&unfinished).and_then(|mut file| {
        file.write_all(content)?;
        seal(file)?;
        chiffon_failpoint::hit!("ledger.names.before");
        fs::rename(&unfinished, folder.join(name))
    });
    if written.is_err() {
        // No name that git reads; on a full disk it would only be in the way.
        let _gone_already = fs::remove_file(unfinished);
    }
    written
}

/// Nobody writes it again, and it is on disk.
pub(super) fn seal(file: File) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions)?;
    file.sync_all()
}

fn pack(objects: &[(ObjectId, Kind, Vec<u8>)]) -> io::Result<(Vec<u8>, Vec<Packed>, ObjectId)> {
    let too_large = |_| io::Error::other("a pack of more than 4 GiB");
    let mut out = b"PACK\0\0\0\x02".to_vec();
    let count = u32::try_from(objects.len()).map_err(too_large)?;
    out.extend(count.to_be_bytes());
    let mut packed = Vec::with_capacity(objects.len());
    // One for all: to make one costs more than to compress what a ledger's object holds.
    let mut compress = Compress::new(Compression::BEST_SPEED);
    for (id, kind, data) in objects {
        let start = out.len();
        push_header(&mut out, *kind, data.len());
        deflate(&mut compress, data, &mut out)?;
        packed.push(Packed {
            id: *id,
            crc32: crc32fast::hash(out.get(start..).unwrap_or_default()),
            // An index knows larger offsets, in a form that nothing here needs.
            offset: u32::try_from(start)
                .ok()
                .filter(|at| at >> 31 == 0)
                .ok_or_else(|| io::Error::other("a pack of more than 2 GiB"))?,
        });
    }
    let checksum = checksum(&out)?;
    out.extend(checksum.as_slice());
    Ok((out, packed, checksum))
}

/// Appends a zlib stream of its own.
fn deflate(compress: &mut Compress, data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    compress.reset();
    let begin = out.len();
    let mut ended = false;
    while !ended {
        let written = begin + compress.total_out() as usize;
        out.resize(written + ROOM, 0);
        let rest = data.get(compress.total_in() as usize..).unwrap_or_default();
        let room = out.get_mut(written..).unwrap_or_default();
        let status = compress.compress(rest, room, FlushCompress::Finish);
        ended = status.map_err(io::Error::other)? == Status::StreamEnd;
    }
    out.truncate(begin + compress.total_out() as usize);
    Ok(())
}

/// Kind and size: four bits of the size beside the kind, then seven a byte, lowest first.
fn push_header(out: &mut Vec<u8>, kind: Kind, size: usize) {
    let kind: u8 = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let mut rest = size >> 4;
    let mut byte = (kind << 4) | (size & 0x0f) as u8;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

pub(super) fn index(packed: &[Packed], pack: ObjectId) -> io::Result<Vec<u8>> {
    let mut out = b"\xfftOc\0\0\0\x02".to_vec();
    for first in 0..=u8::MAX {
        // How many objects there are whose id begins with this byte or a lower one.
        let up_to = packed.partition_point(|one| one.id.first_byte() <= first);
        out.extend((up_to as u32).to_be_bytes());
    }
    packed.iter().for_each(|one| out.extend(one.id.as_slice()));
    packed
        .iter()
        .for_each(|one| out.extend(one.crc32.to_be_bytes()));
    packed
        .iter()
        .for_each(|one| out.extend(one.offset.to_be_bytes()));
    out.extend(pack.as_slice());
    let checksum = checksum(&out)?;
    out.extend(checksum.as_slice());
    Ok(out)
}

/// What an index says, with places that many bytes further on. Refuses an index with places beyond 31 bits.
pub(super) fn read_index(index: &[u8], further: u32) -> io::Result<Vec<Packed>> {
    const FANOUT: usize = 8;
    const IDS: usize = FANOUT + 256 * 4;
    let bad = || io::Error::other("an index of a pack that is none");
    let number = |at: usize| {
        let bytes = index.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    if !index.starts_with(b"\xfftOc\0\0\0\x02") {
        return Err(bad());
    }
    let count = number(IDS - 4).ok_or_else(bad)? as usize;
    let (crcs, offsets) = (IDS + count * 20, IDS + count * 24);
    let mut found = Vec::with_capacity(count);
    for n in 0..count {
        let id = index
            .get(IDS + n * 20..IDS + (n + 1) * 20)
            .ok_or_else(bad)?;
        let offset = number(offsets + n * 4).filter(|at| at >> 31 == 0);
        let offset = offset.and_then(|at| at.checked_add(further));
        found.push(Packed {
            id: ObjectId::try_from(id).map_err(|_| bad())?,
            crc32: number(crcs + n * 4).ok_or_else(bad)?,
            offset: offset.filter(|at| at >> 31 == 0).ok_or_else(bad)?,
        });
    }
    Ok(found)
}

fn checksum(bytes: &[u8]) -> io::Result<ObjectId> {
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(bytes);
    hasher
        .try_finalize()
        .map_err(|error| io::Error::other(error.to_string()))
}
