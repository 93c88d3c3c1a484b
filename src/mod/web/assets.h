// The page's files, embedded at build from web/ by scripts/embed.py.
#ifndef GANTRY_MOD_WEB_ASSETS_H
#define GANTRY_MOD_WEB_ASSETS_H

#include <stddef.h>

struct web_asset {
    const char *name; // "index.html", "list.js"
    const char *type; // media type
    const char *etag; // quoted digest of the content
    const unsigned char *gzip;
    size_t gzip_bytes;
    const unsigned char *plain;
    size_t plain_bytes;
};

extern const struct web_asset WEB_ASSETS[]; // ends with {NULL}

#endif
