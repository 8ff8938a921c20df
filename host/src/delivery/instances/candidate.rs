//! What was tried before the exporter was started: used in place of a new instance, so that
//! none is created twice.

use std::{fs, io};

use super::Instances;
use crate::plugin::{Candidate, ExporterFactory, Instance};

impl Instances {
    /// Uses what was tried before, unless the exporter is quarantined.
    pub(in crate::delivery) fn adopt(&mut self, candidate: Candidate) {
        if self.is_disabled() {
            return;
        }
        if candidate.has_started {
            self.caller.adopt(candidate.instance);
            self.on_created(Ok(()));
        } else {
            self.spare = Some(candidate.instance);
        }
    }

    /// A process or thread without an instance.
    pub(super) fn start_one(&mut self, factory: &ExporterFactory) -> io::Result<Instance> {
        match self.spare.take() {
            Some(spare) => Ok(spare),
            None => {
                // The instance before can have removed it. If this fails, an exporter that needs
                // it says so.
                let _ = fs::create_dir_all(&self.host.state_dir);
                Instance::start(&factory.source, self.host.clone())
            }
        }
    }
}
