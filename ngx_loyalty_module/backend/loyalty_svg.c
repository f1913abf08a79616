/*
 * libxml2 reads the drawing, the tree is cut down to what is on the lists, and
 * written again: bytes of the sender's never reach a browser.
 */

#include "loyalty_svg.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>

#define SVG "http://www.w3.org/2000/svg"
#define XLINK "http://www.w3.org/1999/xlink"

/* In the order of strcmp(). */
static const char *const elements[] = {
    "circle",   "clipPath", "defs",    "desc",           "ellipse",
    "g",        "line",     "linearGradient", "marker",  "mask",
    "path",     "pattern",  "polygon", "polyline",       "radialGradient",
    "rect",     "stop",     "svg",     "symbol",         "text",
    "textPath", "title",    "tspan",   "use",
};

static const char *const attributes[] = {
    "clip-path", "clip-rule", "clipPathUnits", "color", "cx", "cy", "d",
    "display", "dominant-baseline", "dx", "dy", "fill", "fill-opacity",
    "fill-rule", "font-family", "font-size", "font-style", "font-weight",
    "fx", "fy", "gradientTransform", "gradientUnits", "height", "href", "id",
    "letter-spacing", "marker-end", "marker-mid", "marker-start",
    "markerHeight", "markerUnits", "markerWidth", "mask",
    "maskContentUnits", "maskUnits", "offset", "opacity", "orient",
    "overflow", "paint-order", "patternContentUnits", "patternTransform",
    "patternUnits", "points", "preserveAspectRatio", "r", "refX", "refY",
    "rotate", "rx", "ry", "spreadMethod", "startOffset", "stop-color",
    "stop-opacity", "stroke", "stroke-dasharray", "stroke-dashoffset",
    "stroke-linecap", "stroke-linejoin", "stroke-miterlimit",
    "stroke-opacity", "stroke-width", "text-anchor", "textLength",
    "transform", "vector-effect", "version", "viewBox", "visibility", "width",
    "x", "x1", "x2", "y", "y1", "y2",
};

typedef struct {
    size_t elements;
    loyalty_status_t status;
} sweep_t;

static int
compare(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

#define LISTED(list, name)                                                    \
    (bsearch(name, list, sizeof(list) / sizeof(list[0]), sizeof(list[0]),     \
             compare) != NULL)

/* Links lead to a part of the same drawing; so does every url(). */
static bool
stays_inside(const char *name, const char *value)
{
    const char *url;

    if (strcmp(name, "href") == 0) {
        return value[0] == '#';
    }

    for (url = value; (url = strchr(url, '(')) != NULL; url++) {
        if (url - value >= 3 && strncmp(url - 3, "url", 3) == 0
            && url[1] != '#') {
            return false;
        }
    }

    /* An escape could hide what stands before a bracket; colours, numbers and
     * names of fonts have none. */
    return strchr(value, '\\') == NULL && strstr(value, "URL") == NULL
           && strstr(value, "Url") == NULL && strstr(value, "uRl") == NULL
           && strstr(value, "urL") == NULL && strstr(value, "UrL") == NULL
           && strstr(value, "URl") == NULL && strstr(value, "uRL") == NULL;
}

static void
sweep_attributes(xmlNodePtr node, sweep_t *sweep)
{
    xmlAttrPtr attribute = node->properties, next;
    const char *name;
    xmlChar *value;
    bool keep;

    for (; attribute != NULL; attribute = next) {
        next = attribute->next;
        name = (const char *)attribute->name;
        value = xmlNodeListGetString(node->doc, attribute->children, 1);

        if (value == NULL && attribute->children != NULL) {
            sweep->status = LOYALTY_ERROR_MEMORY;
        }

        keep = LISTED(attributes, name)
               && (attribute->ns == NULL
                   || (strcmp((const char *)attribute->ns->href, XLINK) == 0
                       && strcmp(name, "href") == 0))
               && (value == NULL
                   || stays_inside(name, (const char *)value));
        xmlFree(value);

        if (!keep) {
            xmlRemoveProp(attribute);
        }
    }
}

static bool
is_kept(const xmlNode *node)
{
    return node->type == XML_TEXT_NODE
           || (node->type == XML_ELEMENT_NODE && node->ns != NULL
               && strcmp((const char *)node->ns->href, SVG) == 0
               && LISTED(elements, (const char *)node->name));
}

static void
sweep_node(xmlNodePtr node, size_t depth, sweep_t *sweep)
{
    xmlNodePtr child = node->children, next;

    if (depth > LOYALTY_SVG_DEPTH_MAX
        || ++sweep->elements > LOYALTY_SVG_ELEMENTS_MAX) {
        sweep->status = LOYALTY_ERROR_LIMIT;
        return;
    }

    sweep_attributes(node, sweep);

    for (; child != NULL && sweep->status == LOYALTY_OK; child = next) {
        next = child->next;

        if (!is_kept(child)) {
            xmlUnlinkNode(child);
            xmlFreeNode(child);
        } else if (child->type == XML_ELEMENT_NODE) {
            sweep_node(child, depth + 1, sweep);
        }
    }
}

static loyalty_status_t
write_node(xmlDocPtr document, xmlNodePtr root, char **clean, size_t *len)
{
    xmlBufferPtr buffer = xmlBufferCreate();
    loyalty_status_t status = LOYALTY_ERROR_MEMORY;

    if (buffer != NULL && xmlNodeDump(buffer, document, root, 0, 0) > 0) {
        *len = (size_t)xmlBufferLength(buffer);
        *clean = malloc(*len);
        if (*clean != NULL) {
            memcpy(*clean, xmlBufferContent(buffer), *len);
            status = LOYALTY_OK;
        }
    }

    xmlBufferFree(buffer);

    return status;
}

loyalty_status_t
loyalty_svg_clean(loyalty_str_t bytes, char **clean, size_t *len)
{
    sweep_t sweep = {.status = LOYALTY_ERROR_INVALID};
    xmlDocPtr document;
    xmlNodePtr root;

    *clean = NULL;
    xmlInitParser();
    document = xmlReadMemory(bytes.data, (int)bytes.len, NULL, NULL,
                             XML_PARSE_NONET | XML_PARSE_NOERROR
                                 | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA
                                 | XML_PARSE_NSCLEAN);

    if (document == NULL) {
        return LOYALTY_ERROR_INVALID;
    }

    root = xmlDocGetRootElement(document);

    if (document->intSubset == NULL && root != NULL && is_kept(root)
        && strcmp((const char *)root->name, "svg") == 0) {
        sweep.status = LOYALTY_OK;
        sweep_node(root, 0, &sweep);
    }

    if (sweep.status == LOYALTY_OK) {
        sweep.status = write_node(document, root, clean, len);
    }

    xmlFreeDoc(document);

    return sweep.status;
}
