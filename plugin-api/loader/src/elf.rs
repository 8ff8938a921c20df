//! What an ELF file needs on the machine: libraries, glibc, thread-local storage.

use object::{
    ReadRef, elf,
    read::{
        Result,
        elf::{ElfFile, FileHeader},
    },
};

use crate::glibc::GlibcVersion;

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

pub(crate) fn needs<'a, Elf: FileHeader, D: ReadRef<'a>>(
    file: &ElfFile<'a, Elf, D>,
) -> Result<Needs> {
    let table = file.elf_dynamic_table()?;
    let mut needs = Needs {
        glibc: glibc(file)?,
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
    file: &ElfFile<'a, Elf, D>,
) -> Result<Option<GlibcVersion>> {
    let (endian, data) = (file.endian(), file.data());
    let sections = file.elf_section_table();
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
