/*
 * Reads the settings of an exporter: the members of a JSON object. Nested values are passed as
 * JSON text; an exporter with such settings needs a JSON library.
 */
#ifndef DELFIN_SETTINGS_H
#define DELFIN_SETTINGS_H

#include "delfin_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DELFIN_SETTING_TEXT,   /* `text` is the text, followed by a zero byte */
    DELFIN_SETTING_NUMBER, /* `number` is the number, `text` its JSON text */
    DELFIN_SETTING_BOOL,   /* `number` is 1 or 0 */
    DELFIN_SETTING_JSON    /* a list or a table; `text` is its JSON text */
};

/* One setting. Its texts are valid until the function that takes it returns. */
typedef struct delfin_setting {
    const char *key;
    int type;
    delfin_text text;
    double number;
} delfin_setting;

/* Takes a setting. Returns NULL, or why it is refused: "is unknown (write `path`)". */
typedef const char *(*delfin_take_setting)(void *data, const delfin_setting *setting);

static inline const char *delfin_skip_space(const char *at, const char *end) {
    while (at < end && strchr(" \t\r\n", *at))
        at++;
    return at;
}

/* The end of a JSON value: of a text, of a list or table, or of anything else. */
static inline const char *delfin_value_end(const char *at, const char *end) {
    int depth = 0, quoted = 0;
    for (; at < end; at++) {
        if (quoted) {
            if (*at == '\\')
                at++;
            else if (*at == '"' && (quoted = 0, depth == 0))
                return at + 1;
        } else if (*at == '"') {
            quoted = 1;
        } else if (*at == '[' || *at == '{') {
            depth++;
        } else if (depth == 0 && strchr(",]} \t\r\n", *at)) {
            return at;
        } else if ((*at == ']' || *at == '}') && --depth == 0) {
            return at + 1;
        }
    }
    return end;
}

static inline char *delfin_put_utf8(char *to, unsigned long c) {
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
    *to++ = (char)(first[more] | c >> (6 * more));
    while (more-- > 0)
        *to++ = (char)(0x80 | (c >> (6 * more) & 0x3F));
    return to;
}

static inline unsigned long delfin_hex(const char *at) {
    char digits[5] = {at[0], at[1], at[2], at[3], 0};
    return strtoul(digits, NULL, 16);
}

/* Copies a JSON text without its quotes and escapes, and ends it with a zero byte. The result is
 * never longer than the JSON. */
static inline size_t delfin_unescape(const char *at, const char *end, char *to) {
    char *start = to;
    for (at++; at < end - 1; at++) {
        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        at++;
        static const char escapes[] = "b\bf\fn\nr\rt\t";
        const char *escape = strchr(escapes, *at);
        if (*at == 'u' && at + 4 < end) {
            unsigned long c = delfin_hex(at + 1);
            at += 4;
            if (c >= 0xD800 && c < 0xDC00 && at + 6 < end) {
                c = 0x10000 + ((c - 0xD800) << 10) + (delfin_hex(at + 3) - 0xDC00);
                at += 6;
            }
            to = delfin_put_utf8(to, c);
        } else {
            *to++ = escape && *at ? escape[1] : *at;
        }
    }
    *to = 0;
    return (size_t)(to - start);
}

static inline void delfin_refuse_setting(delfin_call *call, const char *key, const char *reason) {
    char message[512];
    int len = snprintf(message, sizeof message, "`%s` %s", key, reason);
    delfin_text text = {message, len < (int)sizeof message ? (size_t)len : sizeof message - 1};
    call->set_message(call, text);
}

/* Passes each setting to `take`. Returns DELFIN_DELIVERED, or an outcome for `create` and `check`
 * after the first setting that was refused. */
static inline uint32_t delfin_read_settings(delfin_text config, delfin_take_setting take,
                                            void *data, delfin_call *call) {
    char *texts = (char *)malloc(2 * config.len + 2);
    if (!texts)
        return DELFIN_RETRY;
    char *value = texts + config.len + 1;
    const char *at = config.data, *end = config.data + config.len;
    const char *reason = NULL;
    while (!reason) {
        at = delfin_skip_space(at, end);
        if (at < end && (*at == '{' || *at == ','))
            at = delfin_skip_space(at + 1, end);
        if (at >= end || *at != '"')
            break;
        const char *key_end = delfin_value_end(at, end);
        delfin_unescape(at, key_end, texts);
        const char *start = delfin_skip_space(key_end, end);
        if (start < end && *start == ':')
            start = delfin_skip_space(start + 1, end);
        at = delfin_value_end(start, end);
        delfin_setting setting = {texts, DELFIN_SETTING_JSON, {value, (size_t)(at - start)}, 0};
        if (*start == '"') {
            setting.type = DELFIN_SETTING_TEXT;
            setting.text.len = delfin_unescape(start, at, value);
        } else {
            memcpy(value, start, setting.text.len);
            value[setting.text.len] = 0;
        }
        if (*start == 't' || *start == 'f') {
            setting.type = DELFIN_SETTING_BOOL;
            setting.number = *start == 't';
        } else if (*start == '-' || (*start >= '0' && *start <= '9')) {
            setting.type = DELFIN_SETTING_NUMBER;
            setting.number = strtod(value, NULL);
        }
        reason = take(data, &setting);
        if (reason)
            delfin_refuse_setting(call, setting.key, reason);
    }
    free(texts);
    return reason ? DELFIN_PAUSE_MISCONFIGURED : DELFIN_DELIVERED;
}

#endif
