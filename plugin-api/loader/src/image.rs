//! The properties of a library file that a linker uses, read without opening it as a
//! library.

use std::path::Path;

use delfin_plugin_abi::manifest::{ELF_SECTION, MACH_O_SECTION};
use object::{
    Architecture, BinaryFormat, Endianness, File, FileKind, Object, ObjectKind, ObjectSection,
    ObjectSegment, ReadRef,
    elf::{ELFCLASS32, ELFMAG, FileHeader32, FileHeader64},
    read::elf::FileHeader,
};
use serde::Serialize;

use crate::{
    elf::{self, LibraryParts, Needs},
    error::Reason,
    glibc::GlibcVersion,
    linker_path::{LinkerPath, SystemFolders},
    pe,
};

/// The properties of a library file that a linker uses. All but `architecture`, `format` and
/// `needed` are known for ELF files only; `missing` for files of this system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Image {
    /// The architecture, as in `std::env::consts::ARCH`.
    pub architecture: String,
    /// `elf`, `macho`, `pe` or `other`.
    pub format: String,
    /// The oldest glibc that has every symbol that the file needs.
    pub glibc: Option<GlibcVersion>,
    /// The libraries that the file needs.
    pub needed: Vec<String>,
    /// Those of `needed` that are not on this machine.
    pub missing: Vec<String>,
    /// Those of `needed` that are found only relative to the file, as with `$ORIGIN`. The host
    /// opens a copy of the file in another folder, where the linker does not find them.
    pub only_by_origin: Vec<String>,
    /// Whether the file needs space in the static TLS block. A process has little of it,
    /// so that opening fails once many such libraries are open.
    pub static_tls: bool,
}

/// The parsed file and its manifest section.
pub(crate) struct Library<'a> {
    pub(crate) image: Image,
    pub(crate) manifest: &'a [u8],
}

impl<'a> Library<'a> {
    /// Parses a file. `path` is the file that `$ORIGIN` refers to.
    pub(crate) fn parse<D: ReadRef<'a>>(
        data: D,
        path: &Path,
        system: &SystemFolders,
    ) -> Result<Self, Reason> {
        check_elf_length(data)?;
        let damaged = |error: object::Error| Reason::Damaged {
            error: error.to_string(),
        };
        let parts = match FileKind::parse(data).map_err(|_| Reason::NotALibrary)? {
            FileKind::Elf32 => elf::read::<FileHeader32<Endianness>, _>(data, ELF_SECTION),
            FileKind::Elf64 => elf::read::<FileHeader64<Endianness>, _>(data, ELF_SECTION),
            _ => LibraryParts::read(data),
        };
        let parts = parts.map_err(damaged)?;
        if !parts.is_library {
            return Err(Reason::NotALibrary);
        }
        // The linker maps segments. Reading a mapping past the end of the file raises SIGBUS.
        if parts.segments_end > data.len().unwrap_or_default() {
            return Err(Reason::Truncated);
        }
        let needs = parts.needs.map_err(damaged)?;
        // This machine does not have the libraries of another system.
        let (missing, only_by_origin) = match parts.format == native_format() {
            true => LinkerPath::of(&needs, path, system).unresolved(&needs.libraries),
            false => Default::default(),
        };
        let image = Image {
            architecture: parts.architecture,
            format: parts.format.to_owned(),
            glibc: needs.glibc,
            needed: needs.libraries,
            missing,
            only_by_origin,
            static_tls: needs.static_tls,
        };
        let manifest = parts.manifest.ok_or(Reason::NoManifest)?;
        Ok(Self { image, manifest })
    }
}

impl<'a> LibraryParts<'a> {
    /// Reads a file of another format than ELF.
    fn read<D: ReadRef<'a>>(data: D) -> object::read::Result<Self> {
        let file = File::parse(data)?;
        let ends = file.segments().map(|segment| {
            let (start, size) = segment.file_range();
            start.saturating_add(size)
        });
        Ok(Self {
            architecture: architecture(file.architecture()),
            format: format(file.format()),
            is_library: file.kind() == ObjectKind::Dynamic,
            segments_end: ends.max().unwrap_or_default(),
            needs: match &file {
                File::Pe32(file) => pe::needs(file),
                File::Pe64(file) => pe::needs(file),
                _ => Ok(Needs::default()),
            },
            manifest: manifest_section(&file),
        })
    }
}

/// The format of libraries on this system, as in [`Image::format`].
pub(crate) fn native_format() -> &'static str {
    format(BinaryFormat::native_object())
}

// The section table is at the end of an ELF file, and the header holds its position. So
// a file that was not copied to its end can be told from a damaged one.
fn check_elf_length<'a, D: ReadRef<'a>>(data: D) -> Result<(), Reason> {
    let length = data.len().map_err(|()| Reason::Empty)?;
    if length == 0 {
        return Err(Reason::Empty);
    }
    let magic = ELFMAG.len() as u64;
    if data.read_bytes_at(0, magic) != Ok(&ELFMAG) {
        return Ok(());
    }
    let end = match data.read_bytes_at(magic, 1) {
        Ok([class]) if *class == ELFCLASS32.0 => {
            FileHeader32::<Endianness>::parse(data).map(section_table_end)
        }
        _ => FileHeader64::<Endianness>::parse(data).map(section_table_end),
    };
    match end {
        Ok(end) if end <= length => Ok(()),
        Ok(_) => Err(Reason::Truncated),
        Err(_) if length < size_of::<FileHeader64<Endianness>>() as u64 => Err(Reason::Truncated),
        Err(error) => Err(Reason::Damaged {
            error: error.to_string(),
        }),
    }
}

fn section_table_end<Elf: FileHeader>(header: &Elf) -> u64 {
    let Ok(endian) = header.endian() else {
        return 0;
    };
    let start: u64 = header.e_shoff(endian).into();
    let size = u64::from(header.e_shnum(endian)) * u64::from(header.e_shentsize(endian));
    start.saturating_add(size)
}

fn manifest_section<'a, D: ReadRef<'a>>(file: &File<'a, D>) -> Option<&'a [u8]> {
    let (segment, mach_o) = MACH_O_SECTION.split_once(',')?;
    let section = file.sections().find(|section| {
        let name = section.name().unwrap_or_default();
        match file.format() {
            BinaryFormat::MachO => name == mach_o && section.segment_name() == Ok(Some(segment)),
            // A PE image cuts section names after eight characters.
            BinaryFormat::Pe => name == ELF_SECTION || name == &ELF_SECTION[..8],
            _ => false,
        }
    });
    section?.data().ok()
}

fn architecture(architecture: Architecture) -> String {
    match architecture {
        Architecture::I386 => "x86".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn format(format: BinaryFormat) -> &'static str {
    match format {
        BinaryFormat::Elf => "elf",
        BinaryFormat::MachO => "macho",
        BinaryFormat::Pe | BinaryFormat::Coff => "pe",
        _ => "other",
    }
}

#[cfg(test)]
mod tests;
