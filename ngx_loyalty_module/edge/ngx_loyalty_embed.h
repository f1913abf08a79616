/*
 * A file of conf/templates inside the module, so that a load_module line is
 * all it takes.  The files stay files: `config` names the folder, the
 * assembler takes them in.
 */

#ifndef _NGX_LOYALTY_EMBED_H_INCLUDED_
#define _NGX_LOYALTY_EMBED_H_INCLUDED_


#define ngx_loyalty_embed(symbol, file)                                       \
    ngx_loyalty_embed_file(symbol, LOYALTY_TEMPLATES "/" file)


/* The same of any file, by its path. */

#define ngx_loyalty_embed_file(symbol, path)                                  \
                                                                              \
    extern const char  symbol[];                                              \
    extern const char  symbol##_end[];                                        \
                                                                              \
    __asm__ (".pushsection .rodata\n"                                         \
             ".hidden " #symbol "\n"                                          \
             ".hidden " #symbol "_end\n"                                      \
             ".globl " #symbol "\n"                                           \
             ".globl " #symbol "_end\n"                                       \
             #symbol ":\n"                                                    \
             ".incbin \"" path "\"\n"                                         \
             #symbol "_end:\n"                                                \
             ".byte 0\n"                                                      \
             ".popsection\n")


#define ngx_loyalty_embed_len(symbol)  ((size_t) (symbol##_end - symbol))


#endif /* _NGX_LOYALTY_EMBED_H_INCLUDED_ */
