//! What a PE file needs on the machine: libraries.

use object::{
    LittleEndian as LE, ReadRef,
    read::{
        Result,
        pe::{ImageNtHeaders, PeFile},
    },
};

use crate::elf::Needs;

pub(crate) fn needs<'a, Pe, D>(file: &PeFile<'a, Pe, D>) -> Result<Needs>
where
    Pe: ImageNtHeaders,
    D: ReadRef<'a>,
{
    let mut needs = Needs::default();
    let Some(table) = file.import_table()? else {
        return Ok(needs);
    };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let name = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?);
        // GNU's linker writes an entry for each import library, and several can name one library.
        let is_same = |known: &String| known.eq_ignore_ascii_case(&name);
        if !needs.libraries.iter().any(is_same) {
            needs.libraries.push(name.into_owned());
        }
    }
    Ok(needs)
}
