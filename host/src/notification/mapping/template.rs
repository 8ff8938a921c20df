//! Templates: texts with `${NAME}` for the value of a field.

use super::MappedInput;

/// A text with fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template<F>(Vec<TemplatePart<F>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart<F> {
    Text(String),
    Field(F),
}

impl<F> Template<F> {
    /// # Errors
    ///
    /// The text is no template: the reason, with the remedy.
    pub(super) fn parse(
        text: &str,
        field: &dyn Fn(&str) -> Result<F, String>,
    ) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("`{text}` has `${{` without `}}` (add it)"))?;
            if !before.is_empty() {
                parts.push(TemplatePart::Text(before.to_owned()));
            }
            parts.push(TemplatePart::Field(field(name)?));
            rest = after;
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(TemplatePart::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// A field that the input does not have is empty.
    pub(super) fn fill(&self, input: &impl MappedInput<Field = F>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(fixed) => text.push_str(fixed),
                TemplatePart::Field(field) => {
                    text.push_str(&input.text(field).unwrap_or_default());
                }
            }
        }
        text.trim().to_owned()
    }
}
