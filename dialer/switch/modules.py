"""Modules of Asterisk that are not loaded: what is not there cannot be reached or misused.

A name that this version of Asterisk lacks does no harm in the list.
"""

from __future__ import annotations

# fmt: off
_PROTOCOLS = (
    "chan_audiosocket", "chan_console", "chan_dahdi", "chan_iax2", "chan_mgcp", "chan_motif",
    "chan_sip", "chan_skinny", "chan_unistim", "chan_websocket", "pbx_dundi", "res_xmpp",
    "res_hep", "res_hep_pjsip", "res_hep_rtcp", "res_snmp", "res_statsd", "res_stun_monitor",
    "res_audiosocket", "app_audiosocket", "app_jack",
)
# Other ways to start a call, run a program or read a file from a dialplan.
_SIDE_DOORS = (
    "pbx_spool", "pbx_ael", "pbx_lua", "pbx_realtime", "pbx_loopback", "res_ael_share",
    "res_clioriginate", "app_originate", "app_system", "app_externalivr", "app_disa",
    "func_shell", "func_env", "func_curl", "func_odbc", "func_realtime", "func_config",
    "func_export", "app_chanspy", "func_periodic_hook", "app_followme",
    "app_transfer", "app_blind_transfer", "app_attended_transfer", "app_sendtext", "res_clialiases",
)
_HTTP = (
    "res_ari", "res_ari_applications", "res_ari_asterisk", "res_ari_bridges",
    "res_ari_channels", "res_ari_device_states", "res_ari_endpoints", "res_ari_events",
    "res_ari_mailboxes", "res_ari_model", "res_ari_playbacks", "res_ari_recordings",
    "res_ari_sounds", "res_http_media_cache", "res_http_post", "res_http_websocket",
    "res_websocket_client", "res_pjsip_transport_websocket", "res_phoneprov",
    "res_pjsip_phoneprov_provider", "res_prometheus", "res_curl", "res_aeap",
    "res_speech_aeap", "res_stasis", "res_stasis_answer", "res_stasis_broadcast",
    "res_stasis_device_state", "res_stasis_playback", "res_stasis_recording",
    "res_stasis_snoop", "res_stasis_test", "app_stasis", "app_stasis_broadcast",
)
_DATABASES = (
    "cdr_adaptive_odbc", "cdr_csv", "cdr_custom", "cdr_manager", "cdr_odbc", "cdr_pgsql",
    "cdr_radius", "cdr_sqlite3_custom", "cdr_syslog", "cdr_tds", "cdr_beanstalkd",
    "cel_custom", "cel_manager", "cel_odbc", "cel_pgsql", "cel_radius", "cel_sqlite3_custom",
    "cel_tds", "cel_beanstalkd", "res_cdrel_custom", "app_cdr", "app_celgenuserevent",
    "app_forkcdr", "func_cdr", "res_config_curl", "res_config_ldap", "res_config_mysql",
    "res_config_odbc", "res_config_pgsql", "res_config_sqlite3", "res_odbc",
    "res_odbc_transaction", "res_realtime", "res_sorcery_realtime",
)
_SIP_EXTRAS = (
    "res_pjsip_aoc", "res_pjsip_config_wizard", "res_pjsip_dialog_info_body_generator",
    "res_pjsip_dlg_options", "res_pjsip_endpoint_identifier_anonymous", "res_pjsip_exten_state",
    "res_pjsip_geolocation", "res_geolocation", "res_pjsip_history", "res_pjsip_messaging",
    "res_pjsip_mwi", "res_pjsip_mwi_body_generator", "res_pjsip_notify",
    "res_pjsip_one_touch_record_info", "res_pjsip_outbound_publish", "res_pjsip_path",
    "res_pjsip_pidf_body_generator", "res_pjsip_pidf_digium_body_supplement",
    "res_pjsip_pidf_eyebeam_body_supplement", "res_pjsip_publish_asterisk",
    "res_pjsip_refer", "res_pjsip_registrar",
    "res_pjsip_send_to_voicemail", "res_pjsip_stir_shaken", "res_stir_shaken",
    "res_pjsip_t38", "res_pjsip_xpidf_body_generator", "res_mwi_devstate",
)
# Written to its own file (pcap) or to the verbose log, keys sent by SIP INFO among it; whether it
# is switched on cannot be asked. Who looks for a fault loads it, and no card is taken meanwhile.
_TRACES = ("res_pjsip_logger",)
_OFFICE = (
    "app_adsiprog", "app_agent_pool", "app_alarmreceiver", "app_authenticate", "app_confbridge",
    "app_broadcast", "app_dictate", "app_directed_pickup", "app_directory", "app_dtmfstore",
    "app_festival", "app_getcpeid", "app_mf", "app_minivm", "app_morsecode", "app_mp3",
    "app_page", "app_privacy", "app_queue", "app_sf", "app_signal", "app_sla", "app_sms",
    "app_test", "app_voicemail", "app_voicemail_imap", "app_voicemail_odbc", "app_zapateller",
    "bridge_builtin_features", "bridge_builtin_interval_features", "func_callcompletion",
    "func_dialgroup", "func_enum", "func_vmcount", "func_pitchshift", "func_scramble",
    "res_adsi", "res_calendar", "res_calendar_caldav", "res_calendar_ews",
    "res_calendar_exchange", "res_calendar_icalendar", "res_fax", "res_fax_spandsp",
    "res_manager_devicestate", "res_manager_presencestate", "res_parking", "res_smdi",
    "res_timing_dahdi", "res_resolver_unbound", "app_dial", "app_speech_utils", "chan_rtp",

    "res_musiconhold",
)
_CODECS = (
    "codec_adpcm", "codec_amr", "codec_codec2", "codec_g726", "codec_lpc10", "codec_speex",
    "codec_opus_open_source", "func_speex", "format_g719", "format_g723", "format_g726",
    "format_g729", "format_h263", "format_h264", "format_ilbc", "format_ogg_opus_open_source",
    "format_ogg_speex", "format_ogg_vorbis", "format_siren14", "format_siren7", "format_vox",
    "format_vp8", "res_format_attr_amr", "res_format_attr_celt", "res_format_attr_g729",
    "res_format_attr_h263", "res_format_attr_h264", "res_format_attr_ilbc",
    "res_format_attr_opus", "res_format_attr_silk", "res_format_attr_siren14",
    "res_format_attr_siren7", "res_format_attr_vp8", "res_rtp_multicast",
)
# fmt: on

_BOTH = _PROTOCOLS + _SIDE_DOORS + _HTTP + _DATABASES + _SIP_EXTRAS + _OFFICE + _CODECS

_PRODUCT = frozenset(
    {*_BOTH, *_TRACES, "func_db", "app_db", "app_senddtmf", "app_milliwatt"},
)
"""The product keeps nothing in the AstDB and, without agents, never sends a key."""

_AGENTS_NEED = frozenset(
    {
        # Browsers: SIP over a websocket, their codec.
        *("res_http_websocket", "res_pjsip_transport_websocket"),
        *("codec_opus_open_source", "res_format_attr_opus"),
        # Conferences, whispering into one ear, music for who is held, keys sent into a call.
        *("app_confbridge", "app_chanspy", "res_musiconhold", "app_senddtmf"),
    }
)


def product_noload(agents: bool) -> tuple[str, ...]:
    """What the product's Asterisk does not load; with ``agents`` people work here."""
    return tuple(sorted(_PRODUCT - _AGENTS_NEED if agents else _PRODUCT))


CARRIER_NOLOAD = tuple(
    sorted(
        {
            *_BOTH,
            "res_agi",
            "app_amd",
            "app_mixmonitor",
            "app_userevent",
            "res_tonedetect",
        }
    )
)
"""The network answers, plays, listens and presses keys."""
