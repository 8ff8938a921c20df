//! The settings that exporters of messages have in common.

use serde_json::Value;

use super::{MessageBatch, MessageFormat, MessageLimits};
use crate::{
    setting::Mistakes,
    template::{NameTemplate, TemplateRules},
};

/// How an exporter writes messages.
#[derive(Debug)]
pub struct MessageSettings {
    /// Of subjects, topics or streams.
    pub name: NameTemplate,
    /// Of payloads.
    pub format: MessageFormat,
    /// Of one message.
    pub limits: MessageLimits,
}

/// The settings as they are written.
#[derive(Debug, Default)]
pub struct WrittenMessages {
    /// The template of names; its key is in [`MessageRules`].
    pub name: Option<Value>,
    /// `message_format`
    pub format: Option<Value>,
    /// `message_rows`
    pub rows: Option<Value>,
    /// `message_bytes`
    pub bytes: Option<Value>,
}

/// What depends on the receiver.
#[derive(Debug, Clone, Copy)]
pub struct MessageRules {
    /// The key of the template, such as `topic`.
    pub key: &'static str,
    /// The default of the template.
    pub default: &'static str,
    /// The default of `message_bytes`.
    pub bytes: usize,
    /// The rules of names.
    pub template: TemplateRules,
}

impl MessageSettings {
    /// Reads the settings of an exporter of batches `B`.
    pub fn read<B: MessageBatch>(
        written: WrittenMessages,
        rules: &MessageRules,
        mistakes: &mut Mistakes,
    ) -> Self {
        let (key, default) = (rules.key, rules.default);
        let WrittenMessages {
            name,
            format,
            rows,
            bytes,
        } = written;
        Self {
            name: NameTemplate::read::<B>(key, name, default, &rules.template, mistakes),
            format: MessageFormat::read::<B>(format.as_ref(), mistakes),
            limits: MessageLimits::read::<B>(rows.as_ref(), bytes.as_ref(), rules.bytes, mistakes),
        }
    }
}
