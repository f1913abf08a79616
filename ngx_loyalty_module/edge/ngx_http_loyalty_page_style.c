/*
 * The stylesheet of the pages: ours, then the design's colours and fonts as
 * custom properties, a colour for each status, and the design's own CSS last.
 * The program's parser has checked names, colours and families.
 */


#include "ngx_http_loyalty_page.h"
#include "ngx_loyalty_embed.h"


/* a line for each colour, and for the two fonts */

#define NGX_HTTP_LOYALTY_STYLE_DESIGN  (LOYALTY_COLORS_MAX * 160 + 2 * 1024)


typedef struct {
    u_char   *pos;
    u_char   *end;
} ngx_http_loyalty_style_t;


static void ngx_http_loyalty_style_design(ngx_http_loyalty_style_t *style,
    const loyalty_design_t *design);


ngx_loyalty_embed(ngx_loyalty_tier_style, "tier.css");


ngx_int_t
ngx_http_loyalty_page_style(ngx_http_request_t *r, loyalty_program_t *program,
    ngx_str_t *text)
{
    size_t                     i, size;
    loyalty_tier_t            *tier;
    const loyalty_design_t    *design;
    ngx_http_loyalty_style_t   style;

    design = ngx_http_loyalty_page_design(program);

    size = ngx_loyalty_embed_len(ngx_loyalty_tier_style)
           + NGX_HTTP_LOYALTY_STYLE_DESIGN + (design ? design->css.len : 0);

    for (i = 0; i < program->ntiers; i++) {
        tier = &program->tiers[i];
        size += sizeof(".loyalty-status- { --loyalty-status: ; }\n")
                + tier->id.len + tier->color.len;
    }

    style.pos = ngx_pnalloc(r->pool, size);
    if (style.pos == NULL) {
        return NGX_ERROR;
    }

    text->data = style.pos;
    style.end = style.pos + size;

    style.pos = ngx_cpymem(style.pos, ngx_loyalty_tier_style,
                           ngx_loyalty_embed_len(ngx_loyalty_tier_style));

    if (design) {
        ngx_http_loyalty_style_design(&style, design);
    }

    for (i = 0; i < program->ntiers; i++) {
        tier = &program->tiers[i];

        if (tier->color.len) {
            style.pos = ngx_slprintf(style.pos, style.end,
                                     ".loyalty-status-%*s "
                                     "{ --loyalty-status: %*s; }\n",
                                     tier->id.len, tier->id.data,
                                     tier->color.len, tier->color.data);
        }
    }

    if (design) {
        style.pos = ngx_slprintf(style.pos, style.end, "%*s", design->css.len,
                                 design->css.data);
    }

    text->len = style.pos - text->data;

    return NGX_OK;
}


static void
ngx_http_loyalty_style_design(ngx_http_loyalty_style_t *style,
    const loyalty_design_t *design)
{
    json_t      *value;
    const char  *key;

    style->pos = ngx_slprintf(style->pos, style->end, ":root {\n");

    json_object_foreach(json_object_get(design->json, "colors"), key, value) {
        style->pos = ngx_slprintf(style->pos, style->end,
                                  "--loyalty-%s: %s;\n", key,
                                  json_string_value(value));
    }

    json_object_foreach(json_object_get(design->json, "fonts"), key, value) {
        style->pos = ngx_slprintf(style->pos, style->end,
                                  "--loyalty-font-%s: %s;\n", key,
                                  json_string_value(value));
    }

    style->pos = ngx_slprintf(style->pos, style->end, "}\n");
}
