//! The macro that makes a library a plugin.

/// Makes a library a plugin. Call it once per crate, for its exporters and its drivers.
///
/// An exporter is a name, as operators write it into their configuration, a type that
/// implements [`Exporter`](crate::Exporter), and a short description. Vendor, licence
/// and version come from `Cargo.toml`. A name has 1 to 64 characters of `A-Z a-z 0-9 . _ -`;
/// another one, or one name twice, does not compile. The file `example.toml` next to it shows the
/// settings; `plugins inspect` prints it.
///
/// ```text
/// delfin_plugin_api::export_plugin! {
///     "PerformanceExporterAcme" => Acme<PerformanceBatch>: "Sends series to Acme",
///     "AlertExporterAcme" => Acme<AlertBatch>: "Sends alerts to Acme",
/// }
/// ```
///
/// Drivers follow the exporters, or are alone: vendor and model, with which a storage is
/// registered, a type that implements [`Driver`](crate::driver::Driver), and the name of the product.
/// They need the feature `driver`.
///
/// ```text
/// delfin_plugin_api::export_plugin! {
///     driver "acme" "one" => AcmeOne: "Acme One",
///     driver "acme" "two" => AcmeTwo: "Acme Two",
/// }
/// ```
#[macro_export]
macro_rules! export_plugin {
    () => {
        ::core::compile_error!("a plugin needs an exporter or a driver");
    };
    (
        $($name:literal => $exporter:ty : $description:literal),* $(,)?
        $(driver $vendor:literal $model:literal => $driver:ty : $title:literal $(,)?)*
    ) => {
        #[cfg(panic = "abort")]
        ::core::compile_error!(
            "a plugin needs `panic = \"unwind\"`: with `abort` its first panic would end the host \
             (remove `panic` from the profile)"
        );

        const _: () = $crate::__glue::check_names(&[
            $((
                $name,
                ::core::concat!(
                    "`", $name, "` is not a name for an exporter (use 1 to 64 of A-Z a-z 0-9 . _ -)"
                ),
                ::core::concat!("the exporter `", $name, "` is declared twice (use another name)"),
            ),)*
        ]);

        const _: () = $crate::__glue::check_drivers(&[
            $((
                $vendor,
                $model,
                ::core::concat!(
                    "`", $vendor, "` or `", $model,
                    "` is not a vendor or a model of a driver (use 1 to 64 of A-Z a-z 0-9 . _ -)"
                ),
                ::core::concat!(
                    "the driver for vendor `", $vendor, "`, model `", $model, "` is declared twice"
                ),
            ),)*
        ]);

        const _: () = {
            use $crate::__glue::{self as glue, ManifestPart as Part, abi, abi_stable};

            extern "C" fn create_exporter(
                name: abi_stable::std_types::RStr<'_>,
                config: abi_stable::std_types::RStr<'_>,
                host: abi::HostBox,
            ) -> abi_stable::std_types::RResult<abi::ExporterBox, abi::Outcome> {
                match name.as_str() {
                    $($name => glue::create::<$exporter>(config, host, ::core::module_path!()),)*
                    _ => glue::no_such_exporter(name),
                }
            }

            fn check_config(name: &str, config: &str) -> glue::ConfigCheck {
                match name {
                    $($name => glue::check_config::<$exporter>(config),)*
                    _ => glue::ConfigCheck::Err(glue::no_exporter(name)),
                }
            }

            extern "C" fn get_extension(
                id: abi_stable::std_types::RStr<'_>,
            ) -> abi_stable::std_types::ROption<abi::ExtensionBox> {
                $crate::__driver_extension!(id, $($vendor $model => $driver,)*);
                glue::get_extension(id, check_config)
            }

            struct Functions;

            impl glue::PluginFunctions for Functions {
                fn create_exporter(
                    name: abi_stable::std_types::RStr<'_>,
                    config: abi_stable::std_types::RStr<'_>,
                    host: abi::HostBox,
                ) -> abi_stable::std_types::RResult<abi::ExporterBox, abi::Outcome> {
                    create_exporter(name, config, host)
                }

                fn check_config(name: &str, config: &str) -> glue::ConfigCheck {
                    check_config(name, config)
                }

                fn get_extension(
                    id: abi_stable::std_types::RStr<'_>,
                ) -> abi_stable::std_types::ROption<abi::ExtensionBox> {
                    get_extension(id)
                }
            }

            // The same for a host that knows the C interface only.
            #[unsafe(no_mangle)]
            pub static delfin_plugin_v1: glue::CPlugin = glue::c_plugin::<Functions>();

            extern "C" fn root_module() -> abi_stable::library::RootModuleResult {
                abi_stable::library::__call_root_module_loader(|| {
                    abi_stable::prefix_type::PrefixTypeTrait::leak_into_prefix(abi::Plugin {
                        create_exporter,
                        get_extension,
                    })
                })
            }

            // A crate may forbid unsafe code: lints are about code of its own, not about that
            // of a macro of another crate. The name is `abi_stable::library::ROOT_MODULE_LOADER_NAME`.
            #[unsafe(no_mangle)]
            pub static _1as_0lib_1header_0root_bmodule_bloader: abi_stable::library::LibHeader = {
                // SAFETY: `root_module` returns a `PluginRef`.
                unsafe {
                    abi_stable::library::LibHeader::from_constructor::<abi::PluginRef>(
                        root_module,
                        abi_stable::library::CheckTypeLayout::Yes,
                    )
                }
            };

            const PARTS: &[Part] = &[
                Part::Raw("{\"abi\":"),
                Part::Text(abi::VERSION),
                Part::Raw(",\"api\":"),
                Part::Text(glue::API_VERSION),
                Part::Raw(",\"rustc\":"),
                Part::Text(glue::RUSTC_VERSION),
                Part::Raw(",\"target\":"),
                Part::Text(glue::TARGET),
                Part::Raw(",\"panic\":"),
                Part::Text(if ::core::cfg!(panic = "unwind") { "unwind" } else { "abort" }),
                Part::Raw(",\"plugin\":"),
                Part::Text(::core::env!("CARGO_PKG_NAME")),
                Part::Raw(",\"version\":"),
                Part::Text(::core::env!("CARGO_PKG_VERSION")),
                Part::Raw(",\"vendor\":"),
                Part::Text(::core::env!("CARGO_PKG_AUTHORS")),
                Part::Raw(",\"license\":"),
                Part::Text(::core::env!("CARGO_PKG_LICENSE")),
                Part::Raw(",\"exporters\":["),
                $(
                    Part::Comma,
                    Part::Raw("{\"name\":"),
                    Part::Text($name),
                    Part::Raw(",\"kind\":"),
                    Part::Text(glue::kind::<$exporter>()),
                    Part::Raw(",\"description\":"),
                    Part::Text($description),
                    Part::Raw(",\"exclusive\":"),
                    Part::Raw(glue::exclusive::<$exporter>()),
                    Part::Raw(",\"unique_settings\":"),
                    Part::Texts(<$exporter as $crate::Exporter>::UNIQUE_SETTINGS),
                    Part::Raw(",\"max_points\":"),
                    Part::Number(glue::max_points::<$exporter>()),
                    Part::Raw(",\"resend_seconds\":"),
                    Part::Number(glue::resend_seconds::<$exporter>()),
                    Part::Raw("}"),
                )*
                Part::Raw("],\"drivers\":["),
                $(
                    Part::Comma,
                    Part::Raw("{\"vendor\":"),
                    Part::Text($vendor),
                    Part::Raw(",\"model\":"),
                    Part::Text($model),
                    Part::Raw(",\"title\":"),
                    Part::Text($title),
                    Part::Raw(",\"access\":"),
                    Part::Texts(<$driver as $crate::driver::Driver>::ACCESS),
                    Part::Raw(",\"interval_seconds\":"),
                    Part::Number(match <$driver as $crate::driver::Driver>::INTERVAL {
                        ::core::option::Option::Some(interval) => {
                            ::core::option::Option::Some(glue::manifest_seconds(interval))
                        }
                        ::core::option::Option::None => ::core::option::Option::None,
                    }),
                    Part::Raw(",\"timeout_seconds\":"),
                    Part::Number(::core::option::Option::Some(glue::manifest_seconds(
                        <$driver as $crate::driver::Driver>::TIMEOUT,
                    ))),
                    Part::Raw("}"),
                )*
                Part::Raw("],\"example\":"),
                Part::Text(::core::include_str!(::core::concat!(
                    ::core::env!("CARGO_MANIFEST_DIR"),
                    "/example.toml"
                ))),
                Part::Raw("}"),
            ];

            #[unsafe(no_mangle)]
            #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__delfin_plugin"))]
            #[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".delfin_plugin"))]
            pub static DELFIN_PLUGIN_MANIFEST: [u8; glue::len(PARTS)] =
                glue::record(PARTS);
        };
    };
}

/// Returns the extension that runs drivers, if that is the one. For [`export_plugin!`].
#[doc(hidden)]
#[macro_export]
#[cfg(feature = "driver")]
macro_rules! __driver_extension {
    ($id:expr,) => {};
    ($id:expr, $($vendor:literal $model:literal => $driver:ty,)+) => {
        if $id.as_str() == $crate::__glue::DRIVER_EXTENSION {
            fn find(vendor: &str, model: &str) -> ::core::option::Option<$crate::__glue::OpenFunction> {
                match (vendor, model) {
                    $(($vendor, $model) => {
                        ::core::option::Option::Some($crate::__glue::open_driver::<$driver>)
                    })+
                    _ => ::core::option::Option::None,
                }
            }
            return $crate::__glue::abi_stable::std_types::ROption::RSome(
                $crate::__glue::driver_extension(find, ::core::module_path!()),
            );
        }
    };
}

/// Without the feature, there are no drivers.
#[doc(hidden)]
#[macro_export]
#[cfg(not(feature = "driver"))]
macro_rules! __driver_extension {
    ($id:expr,) => {};
    ($id:expr, $($drivers:tt)+) => {
        ::core::compile_error!("drivers need the feature `driver` of `delfin-plugin-api`");
    };
}
