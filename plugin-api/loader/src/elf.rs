//! What an ELF file says of itself, and needs on the machine: libraries, glibc, thread-local storage.
//!
//! Promises: the symbols of the file are not read. They are a fifth of a file that was not stripped.

use object::{
    Endianness, ReadRef, elf,
    read::{
        Result,
        elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable},
    },
};

use crate::glibc::GlibcVersion;

/// What a library file says of itself.
pub(crate) struct LibraryParts<'a> {
    pub(crate) architecture: String,
    pub(crate) format: &'static str,
    /// Whether it is a shared library, and not a program or an object file.
    pub(crate) is_library: bool,
    /// Where the last byte is that a linker maps.
    pub(crate) segments_end: u64,
    pub(crate) needs: Result<Needs>,
    pub(crate) manifest: Option<&'a [u8]>,
}

/// What a file needs on the machine.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) glibc: Option<GlibcVersion>,
    pub(crate) libraries: Vec<String>,
    pub(crate) static_tls: bool,
    /// `DT_RPATH` and `DT_RUNPATH`, as written.
    pub(crate) rpath: Option<String>,
    pub(crate) runpath: Option<String>,
}

/// Reads a file. `manifest` is the name of the section with the manifest.
pub(crate) fn read<'a, Elf, D>(data: D, manifest: &str) -> Result<LibraryParts<'a>>
where
    Elf: FileHeader<Endian = Endianness>,
    D: ReadRef<'a>,
{
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let segments = header.program_headers(endian, data)?.iter();
    let ends = segments.map(|segment| {
        let (start, size) = segment.file_range(endian);
        start.saturating_add(size)
    });
    let manifest = sections.section_by_name(endian, manifest.as_bytes());
    Ok(LibraryParts {
        architecture: architecture(header.e_machine(endian), header.is_class_64()),
        format: "elf",
        is_library: header.e_type(endian) == elf::ET_DYN,
        segments_end: ends.max().unwrap_or_default(),
        needs: needs(&sections, endian, data),
        manifest: manifest.and_then(|(_, section)| section.data(endian, data).ok()),
    })
}

/// As in `std::env::consts::ARCH`.
fn architecture(machine: elf::Machine, is_64_bit: bool) -> String {
    let name = match (machine, is_64_bit) {
        (elf::EM_X86_64, true) => "x86_64",
        (elf::EM_386, _) => "x86",
        (elf::EM_AARCH64, true) => "aarch64",
        (elf::EM_ARM, _) => "arm",
        (elf::EM_RISCV, true) => "riscv64",
        (elf::EM_PPC64, _) => "powerpc64",
        (elf::EM_S390, true) => "s390x",
        (elf::EM_LOONGARCH, true) => "loongarch64",
        _ => return format!("ELF machine {}", machine.0),
    };
    name.to_owned()
}

fn needs<'a, Elf: FileHeader, D: ReadRef<'a>>(
    sections: &SectionTable<'a, Elf, D>,
    endian: Elf::Endian,
    data: D,
) -> Result<Needs> {
    let table = sections.dynamic_table(endian, data)?;
    let mut needs = Needs {
        glibc: glibc(sections, endian, data)?,
        ..Needs::default()
    };
    for entry in &table {
        let text = || Ok(String::from_utf8_lossy(table.string(entry)?).into_owned());
        match entry.tag {
            elf::DT_NEEDED => needs.libraries.push(text()?),
            elf::DT_RPATH => needs.rpath = Some(text()?),
            elf::DT_RUNPATH => needs.runpath = Some(text()?),
            elf::DT_FLAGS => needs.static_tls = entry.val & elf::DF_STATIC_TLS.0 != 0,
            _ => {}
        }
    }
    Ok(needs)
}

/// The newest `GLIBC_x.y` among the symbol versions that the file needs.
fn glibc<'a, Elf: FileHeader, D: ReadRef<'a>>(
    sections: &SectionTable<'a, Elf, D>,
    endian: Elf::Endian,
    data: D,
) -> Result<Option<GlibcVersion>> {
    let Some((mut libraries, link)) = sections.gnu_verneed(endian, data)? else {
        return Ok(None);
    };
    let strings = sections.strings(endian, data, link)?;
    let mut newest = None;
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            let name = String::from_utf8_lossy(version.name(endian, strings)?);
            let number = name.strip_prefix("GLIBC_");
            newest = newest.max(number.and_then(|number| number.parse().ok()));
        }
    }
    Ok(newest)
}
