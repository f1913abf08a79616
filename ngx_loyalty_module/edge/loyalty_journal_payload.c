/*
 * Payloads of journal records; the layout is in the header.
 */

#include "loyalty_journal_payload.h"

#define FORMAT 1
#define RAW 0x01
#define MINOR 0x02
#define TEXTS 5

typedef struct {
    uint8_t format;
    uint8_t flags;
    uint16_t lengths[TEXTS]; /* of the texts before the JSON */
    uint8_t reserved[4];
    int64_t at;
} header_t;

_Static_assert(sizeof(header_t) == 24, "the header has no holes");

size_t
loyalty_journal_payload_size(const loyalty_journal_payload_t *payload)
{
    return sizeof(header_t) + payload->site.len + payload->member.len
           + payload->uri.len + payload->server.len + payload->status.len
           + payload->json.len;
}

void
loyalty_journal_payload_write(uint8_t *out,
                              const loyalty_journal_payload_t *payload)
{
    const loyalty_str_t texts[TEXTS + 1] = {payload->site,   payload->member,
                                            payload->uri,    payload->server,
                                            payload->status, payload->json};
    header_t header = {
        .format = FORMAT,
        .flags = (uint8_t)((payload->raw ? RAW : 0)
                           | (payload->minor ? MINOR : 0)),
        .at = payload->at,
    };

    for (size_t i = 0; i < TEXTS; i++) {
        header.lengths[i] = (uint16_t)texts[i].len;
    }
    memcpy(out, &header, sizeof(header));
    out += sizeof(header);
    for (size_t i = 0; i <= TEXTS; i++) {
        if (texts[i].len != 0) {
            memcpy(out, texts[i].data, texts[i].len);
            out += texts[i].len;
        }
    }
}

loyalty_status_t
loyalty_journal_payload_read(const uint8_t *bytes, size_t len,
                             loyalty_journal_payload_t *payload)
{
    loyalty_str_t texts[TEXTS];
    header_t header;

    if (len < sizeof(header)) {
        return LOYALTY_ERROR_CORRUPT;
    }
    memcpy(&header, bytes, sizeof(header));
    if (header.format != FORMAT) {
        return LOYALTY_ERROR_VERSION;
    }
    bytes += sizeof(header);
    len -= sizeof(header);
    for (size_t i = 0; i < TEXTS; i++) {
        if (header.lengths[i] > len) {
            return LOYALTY_ERROR_CORRUPT;
        }
        texts[i] = (loyalty_str_t){(const char *)bytes, header.lengths[i]};
        bytes += header.lengths[i];
        len -= header.lengths[i];
    }
    *payload = (loyalty_journal_payload_t){
        .site = texts[0],
        .member = texts[1],
        .uri = texts[2],
        .server = texts[3],
        .status = texts[4],
        .json = {(const char *)bytes, len},
        .at = header.at,
        .raw = (header.flags & RAW) != 0,
        .minor = (header.flags & MINOR) != 0,
    };
    return LOYALTY_OK;
}
